package chart

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden charts in testdata")

// TestGolden compares whole charts, without colour, with those in testdata.
func TestGolden(t *testing.T) {
	all := views(nil)
	for _, g := range []struct {
		view string
		w, h int
	}{
		{"curve", 80, 20},
		{"curve", 40, 10},
		{"curve", 24, 7},
		{"cursor", 64, 14},
		{"multiples", 120, 30},
		{"multiples", 50, 15},
		{"law", 120, 22},
		{"law", 60, 16},
		{"partial", 72, 18},
		{"prediction", 80, 20},
		{"prediction", 40, 10},
		{"comparison", 120, 12},
		{"comparison", 60, 8},
		{"lines", 90, 18},
		{"lines", 40, 10},
		{"lines-picked", 90, 18},
		{"lines-picked", 40, 10},
		{"lines-picked", 90, 4},
		{"lines-last", 90, 18},
		{"trace", 90, 18},
		{"trace", 40, 8},
	} {
		name := fmt.Sprintf("%s_%dx%d", g.view, g.w, g.h)
		t.Run(name, func(t *testing.T) {
			got := all[g.view](g.w, g.h) + "\n"
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("chart differs (-want +got), -update rewrites it:\n%s", diff)
			}
		})
	}
}

// TestColourAddsNothing checks that colour only colours: the marks are the same
// with and without it, and the plain themes write no escape sequence.
func TestColourAddsNothing(t *testing.T) {
	th := themes()
	plain, dark, light := views(th["plain"]), views(th["dark"]), views(th["light"])
	for name, view := range plain {
		want := view(100, 24)
		if strings.Contains(want, "\x1b") {
			t.Errorf("%s: escape sequence without colour", name)
		}
		if strings.HasPrefix(name, "lines") {
			continue // strokes take the place of colours there
		}
		for _, v := range []string{dark[name](100, 24), light[name](100, 24)} {
			if !strings.Contains(v, "\x1b[") {
				t.Errorf("%s: no colour", name)
			}
			if diff := cmp.Diff(want, ansi.Strip(v)); diff != "" {
				t.Errorf("%s: colour changes the chart:\n%s", name, diff)
			}
		}
	}
}

// TestStyleRuns checks that neighbouring cells of one style share one sequence.
func TestStyleRuns(t *testing.T) {
	th := Dark()
	c := newCanvas(12, 1)
	c.text(0, 0, "ab cd", penStar)
	c.text(6, 0, "x", penCurve)
	open := strings.Split(th.Star.Render("x"), "x")[0]
	got := c.render(th.sequences())
	if n := strings.Count(got, open); n != 1 {
		t.Errorf("%d sequences for one run: %q", n, got)
	}
	if n := strings.Count(got, "\x1b["); n != 4 {
		t.Errorf("%d sequences for two runs, not 4: %q", n, got)
	}
}
