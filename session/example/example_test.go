package example

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/session"
)

var update = flag.Bool("update", false, "write sweep.csv anew")

func TestSweepIsTheStatedOne(t *testing.T) {
	want := Sweep(1)
	if *update {
		if err := os.WriteFile("sweep.csv", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if sweep != want {
		t.Error("sweep.csv is not what Sweep draws; run go test ./session/example -update")
	}
}

// TestAnswer runs the example as a newcomer sees it: no error, the interval holds
// the truth, the edge cell is a bound.
func TestAnswer(t *testing.T) {
	path, err := Install(filepath.Join(t.TempDir(), "example"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(path, session.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Wait(time.Minute) {
		t.Fatal("still computing")
	}
	truth := Truth(7e9, 140e9)
	for _, c := range s.Cells() {
		if c.Err != nil {
			t.Errorf("line %d: %v", c.Line+1, c.Err)
		}
		switch v := c.Value.(type) {
		case session.Table:
			if want := strings.Count(sweep, "\n") - 1; v.Rows != want || want != 548 {
				t.Errorf("%d rows, the file has %d and the notebook says so", v.Rows, want)
			}
		case session.Prediction:
			if !(v.Low <= truth && truth <= v.High) {
				t.Errorf("the interval [%.3g, %.3g] misses the truth %.3g", v.Low, v.High, truth)
			}
			t.Logf("%s: %.3g [%.3g, %.3g], truth %.3g", v.LawText, v.LR, v.Low, v.High, truth)
		case session.Curves:
			if last := v.Curves[len(v.Curves)-1]; last.OK || last.BoundLR == 0 {
				t.Errorf("the last cell is no bound: %+v", last.Flags)
			}
		case session.Expectation:
			if !v.Met {
				t.Error(v.Said)
			}
		}
	}
	if math.Abs(truth-9.4e-4) > 0.05e-4 {
		t.Errorf("the notebook states a truth of 9.4e-4, it is %.4g", truth)
	}
}

// TestInstallKeepsWork: what a person changed in the example is not overwritten.
func TestInstallKeepsWork(t *testing.T) {
	dir := t.TempDir()
	path, err := Install(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(dir); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Errorf("overwritten: %q", b)
	}
}
