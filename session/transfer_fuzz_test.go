package session

import (
	"math"
	"testing"

	"github.com/etastar/etastar/mup"
)

// FuzzEdit: whatever an edit says, a rule that comes of it is usable and carries the edit.
func FuzzEdit(f *testing.F) {
	for _, s := range []string{"head.lr.width=-0.5", "head.lr.width=−½", "a.b.c=1", "=", "head.lr.width=1e400", "norm.init_std.depth=1", " head.lr.width = 2 ", "head.lr.width.more=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := mup.Find("completep")
		if err != nil {
			t.Fatal(err)
		}
		out, err := edited(rule, text)
		switch {
		case err != nil && err.Error() == "":
			t.Errorf("%q: an error without words", text)
		case err == nil && (out.Problems() != nil || out.Status != mup.Derived || math.IsNaN(out.Entry(mup.Head, mup.LR).Width)):
			t.Errorf("%q: %v", text, out.Problems())
		}
	})
}
