// Package python lets tests compare with what PyTorch and transformers compute, where a
// Python with both is at hand.
//
// It is for tests alone: nothing of the program imports it.
package python

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Find is the python3 that has the modules. A test that finds none is skipped.
func Find(t testing.TB, modules ...string) string {
	t.Helper()
	exe, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("needs python3 with %s: %v", strings.Join(modules, ", "), err)
	}
	out, err := exec.CommandContext(t.Context(), exe, "-c", "import "+strings.Join(modules, ", ")).CombinedOutput()
	if err != nil {
		t.Skipf("needs python3 with %s: %s", strings.Join(modules, ", "), lastLine(out))
	}
	return exe
}

// Run runs a script that reads job as JSON from standard input, and decodes what it
// writes as the last line of standard output into answer.
func Run(t testing.TB, exe string, script []byte, job, answer any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peer.py")
	if err := os.WriteFile(path, script, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, path)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", exe, err, said.Bytes())
	}
	if err := json.Unmarshal([]byte(lastLine(out)), answer); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", exe, err, out, said.Bytes())
	}
}

// Compiles checks that a script is Python, where there is one.
func Compiles(t testing.TB, script []byte) {
	t.Helper()
	exe := Find(t, "ast")
	cmd := exec.CommandContext(t.Context(), exe, "-c", "import ast, sys; ast.parse(sys.stdin.buffer.read())")
	cmd.Stdin = bytes.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
