package simd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGenerated: the assembly in the repository is what the generator writes.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the Go toolchain")
	}
	args := []string{"run"}
	for _, name := range []string{"main", "emit", "loop", "vector", "matrix"} {
		path, err := filepath.Abs(filepath.Join("gen", name+".go"))
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	dir := t.TempDir()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run: %v\n%s", err, out)
	}
	for _, name := range []string{"avx2_amd64.s", "avx512_amd64.s", "stubs_amd64.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is out of date: run go generate", name)
		}
	}
}
