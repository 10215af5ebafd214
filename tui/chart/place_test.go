package chart

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
)

// columnOf is the display column of the first r in line; every rune here is of width 1.
func columnOf(line string, r rune) int { return slices.Index([]rune(line), r) }

// ticksOf reads the ticks of an x axis back from a chart: their columns from the
// line of the axis, their values from the labels below it.
func ticksOf(t *testing.T, lines []string) (cols []int, values []float64) {
	t.Helper()
	for i, l := range lines {
		if !strings.Contains(l, "┬") || !strings.Contains(l, "─") {
			continue
		}
		for col, r := range []rune(l) {
			if r == '┬' {
				cols = append(cols, col)
			}
		}
		for _, label := range strings.Fields(lines[i+1]) {
			v, err := strconv.ParseFloat(label, 64)
			if err != nil {
				t.Fatalf("axis label %q: %v", label, err)
			}
			values = append(values, v)
		}
	}
	if len(cols) < 2 || len(cols) != len(values) {
		t.Fatalf("%d ticks with %d labels in\n%s", len(cols), len(values), strings.Join(lines, "\n"))
	}
	return cols, values
}

// TestStarColumn checks that the star stands where the ticks put η*.
func TestStarColumn(t *testing.T) {
	cs := sweep()
	for i := range cs.Curves {
		c := &cs.Curves[i]
		for _, w := range []int{30, 47, 80, 133} {
			lines := strings.Split(Curve(c, CurveOptions{}, w, 16), "\n")
			cols, values := ticksOf(t, lines)
			a, b := 0, len(cols)-1
			perLn := float64(cols[b]-cols[a]) / math.Log(values[b]/values[a])
			want := float64(cols[a]) + perLn*(c.LnLR-math.Log(values[a]))
			got := -1
			for _, l := range lines[1:] {
				got = max(got, columnOf(l, '★'))
			}
			// The ticks are rounded to cells too, which counts more far from them.
			if math.Abs(float64(got)-want) > 1.6 {
				t.Errorf("cell %d, width %d: star in column %d, η* is at %.1f\n%s", i, w, got, want, strings.Join(lines, "\n"))
			}
		}
	}
}

// TestStarRow checks that the star lies on the fitted line, under every point of the cell.
func TestStarRow(t *testing.T) {
	c := sweep().Curves[0]
	lines := strings.Split(Curve(&c, CurveOptions{}, 80, 20), "\n")
	star, points := -1, -1
	for y, l := range lines[1:17] {
		if strings.ContainsRune(l, '★') {
			star = y
		}
		if strings.ContainsRune(l, '●') {
			points = y
		}
	}
	if star < 0 || star < points-1 {
		t.Errorf("star in row %d, the lowest point in row %d\n%s", star, points, strings.Join(lines, "\n"))
	}
}

var etaLabel = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(e-[0-9]+)?$`)

// TestLabelsWhole checks that every label of the x axis is a whole number, and
// every word of the title one of the full title, at any width.
func TestLabelsWhole(t *testing.T) {
	cs := sweep()
	c := &cs.Curves[2]
	full := strings.Fields(strings.Split(Curve(c, CurveOptions{}, 200, 10), "\n")[0])
	for w := 1; w < 160; w++ {
		lines := strings.Split(Curve(c, CurveOptions{}, w, 10), "\n")
		for _, word := range strings.Fields(lines[0]) {
			if !slices.Contains(full, word) {
				t.Errorf("width %d: %q in the title is not one of %q", w, word, full)
			}
		}
		for _, label := range strings.Fields(lines[9]) {
			v, err := strconv.ParseFloat(label, 64)
			if err != nil || !etaLabel.MatchString(label) || number.Eta(v, 2) != label {
				t.Errorf("width %d: axis label %q", w, label)
			}
		}
		for _, l := range lines[1:8] {
			if label, _, ok := strings.Cut(l, "┤"); ok {
				if v, err := strconv.ParseFloat(strings.TrimSpace(label), 64); err != nil || v < 1 || v > 4 {
					t.Errorf("width %d: loss label %q", w, label)
				}
			}
		}
	}
}

// TestBounds checks that an optimum on the edge of the grid is drawn as a bound.
func TestBounds(t *testing.T) {
	for _, k := range []struct {
		bound fitting.Bound
		flag  fitting.Flag
		edge  float64
		text  string
		mark  rune
	}{
		{fitting.BoundBelow, fitting.FlagEdgeLow, 2.4e-4, "η* < 2.4e-4", '◂'},
		{fitting.BoundAbove, fitting.FlagEdgeHigh, 9.6e-4, "η* > 9.6e-4", '▸'},
	} {
		c := fitting.Curve{
			Key: fitting.Key{N: 215e6, D: 4e9}, Bound: k.bound, BoundLR: k.edge, LnLR: math.NaN(), LnLRSE: math.NaN(), Flags: []fitting.Flag{k.flag},
			Points: []fitting.Point{{LR: 2.4e-4, Loss: 2.5}, {LR: 4.8e-4, Loss: 2.6}, {LR: 9.6e-4, Loss: 2.7}},
		}
		got := Curve(&c, CurveOptions{}, 60, 12)
		if !strings.Contains(got, k.text) || !strings.ContainsRune(got, k.mark) || strings.Contains(got, "★") {
			t.Errorf("want %q and %c and no star in\n%s", k.text, k.mark, got)
		}
	}
}

// TestSetApart checks that diverged, excluded and far points are drawn, and counted.
func TestSetApart(t *testing.T) {
	c := fitting.Curve{
		Points: []fitting.Point{
			{LR: 1e-4, Loss: 9}, {LR: 2e-4, Loss: 2.51, InWindow: true}, {LR: 4e-4, Loss: 2.5, InWindow: true}, {LR: 8e-4, Loss: 2.52, InWindow: true},
		},
		Diverged: []fitting.Point{{LR: 1.6e-3, Loss: math.NaN()}, {LR: 1.6e-3, Loss: 7}, {LR: 3.2e-3, Loss: math.Inf(1)}},
		Excluded: []fitting.Point{{LR: 3e-4, Loss: 2.515, Row: 7}},
		OK:       true, LnLR: math.Log(4e-4), LnLRSE: 0.05, Loss: 2.5, R2: 0.99,
	}
	got := Curve(&c, CurveOptions{}, 80, 20)
	for _, want := range []string{"✖2", "✖ 3 diverged", "× 1 out", "▲ 1 above", "●", "×"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	got = Curve(&c, CurveOptions{Cursor: true, Selected: 2, Line: func(row int) int { return row + 2 }}, 80, 20)
	for _, want := range []string{"[×]", "taken out", "η 3e-4", "[3/5]", "line 9"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestSeeds checks that the line of the cursor says what a mean is of.
func TestSeeds(t *testing.T) {
	c := fitting.Curve{Points: []fitting.Point{{LR: 1e-4, Loss: 2.6, Seeds: 1}, {LR: 2e-4, Loss: 2.5, Seeds: 3}}}
	for selected, want := range []bool{false, true} {
		got := Curve(&c, CurveOptions{Cursor: true, Selected: selected}, 80, 20)
		if strings.Contains(got, "mean of 3 seeds") != want {
			t.Errorf("point %d:\n%s", selected, got)
		}
	}
}

// TestPages checks that the focused cell is always on the page, and marked.
func TestPages(t *testing.T) {
	cs := sweep()
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(26, 200).Draw(t, "w"), rapid.IntRange(8, 50).Draw(t, "h")
		focus := rapid.IntRange(0, len(cs.Curves)-1).Draw(t, "focus")
		got := SmallMultiples(cs, MultiplesOptions{Focus: focus}, w, h)
		_, after, ok := strings.Cut(got, "▌")
		if !ok || !strings.HasPrefix(after, number.Key(cs.Curves[focus].Key)) {
			t.Fatalf("cell %d is not marked in\n%s", focus, got)
		}
		if !strings.Contains(got, strconv.Itoa(focus+1)+"/9") {
			t.Fatalf("no page mark for cell %d in\n%s", focus, got)
		}
	})
}

// TestKeysOfMultiples checks that every small multiple says which cell it is.
func TestKeysOfMultiples(t *testing.T) {
	cs := sweep()
	for i := range cs.Curves {
		cs.Curves[i].Key.D *= 1.0375 // 16.6B takes more room than 16B
	}
	got := SmallMultiples(cs, MultiplesOptions{}, 72, 24)
	for i := range cs.Curves {
		if key := number.Key(cs.Curves[i].Key); !strings.Contains(got, key) {
			t.Errorf("no %q in\n%s", key, got)
		}
	}
}

// TestHiddenColumns checks that no number of a comparison is cut: columns that do
// not fit are named instead.
func TestHiddenColumns(t *testing.T) {
	whole := regexp.MustCompile(`^(0\.[0-9]+%|[0-9.]+%|[0-9]\.[0-9]{3}|–)$`)
	for w := 12; w < 140; w++ {
		got := Comparison(comparison(), ComparisonOptions{}, w, 9)
		for _, line := range strings.Split(got, "\n") {
			f := strings.Fields(line)
			if len(f) == 0 || f[0] != "power" {
				continue
			}
			for _, word := range f[1:] {
				if strings.ContainsAny(word, "0123456789") && !whole.MatchString(word) {
					t.Errorf("width %d: %q is cut in %q", w, word, line)
				}
			}
			if len(f) < 6 && !strings.Contains(got, "…") {
				t.Errorf("width %d: nothing says that columns are hidden in\n%s", w, got)
			}
		}
	}
	if got := Comparison(comparison(), ComparisonOptions{}, 100, 9); strings.Index(got, "step") > strings.Index(got, "power") {
		t.Errorf("not sorted by penalty:\n%s", got)
	}
}
