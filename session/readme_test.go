package session

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's table of verbs anew")

// TestReadmeListsTheVerbs: the README's table is the registry's.
func TestReadmeListsTheVerbs(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- verbs -->\n", "<!-- /verbs -->"
	head, rest, ok1 := strings.Cut(string(b), begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("the README has no place for the verbs")
	}
	var want strings.Builder
	want.WriteString("| verb | does |\n|---|---|\n")
	for _, v := range Verbs() {
		fmt.Fprintf(&want, "| `%s` | %s |\n", v.Name, strings.ReplaceAll(v.Summary, "*", `\*`))
	}
	if *update {
		if err := os.WriteFile("../README.md", []byte(head+begin+want.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want.String() {
		t.Errorf("run go test ./session -run Readme -update:\n%s", want.String())
	}
}
