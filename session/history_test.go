package session

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestHistory(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if got := ReadHistory(); len(got) != 0 {
		t.Errorf("before anything was typed: %q", got)
	}
	for _, lines := range [][]string{{"a = load \"x\""}, nil, {"b", "c = law a"}} {
		if err := AddHistory(lines); err != nil {
			t.Fatal(err)
		}
	}
	if got := ReadHistory(); !slices.Equal(got, []string{"a = load \"x\"", "b", "c = law a"}) {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(historyPath()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// A file that has grown too large is cut to its latest lines.
	long := strings.Repeat("x", 2000)
	if err := os.WriteFile(historyPath(), []byte(strings.Repeat(long+"\n", 1200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := AddHistory([]string{"last"}); err != nil {
		t.Fatal(err)
	}
	if got := ReadHistory(); len(got) != maxHistory || got[len(got)-1] != "last" || got[0] != long {
		t.Errorf("%d lines", len(got))
	}
}
