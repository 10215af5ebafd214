package table

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// numbers, text make columns for tests.
func numbers(name string, vs ...float64) *Column { return &Column{Name: name, Numbers: vs} }

func text(name string, ws ...string) *Column {
	c := &Column{Name: name, Kind: Text, Words: []string{""}}
	for _, w := range ws {
		i := slices.Index(c.Words, w)
		if i < 0 {
			i = len(c.Words)
			c.Words = append(c.Words, w)
		}
		c.Codes = append(c.Codes, uint32(i))
	}
	return c
}

func tableOf(columns ...*Column) *Table {
	return &Table{Columns: columns, Rows: columns[0].Len()}
}

// sweep is a small table of the shape of a published one.
func sweep() *Table {
	return tableOf(
		numbers("lr", 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
		numbers("bs", 32, 32, 64, 64, 64),
		numbers("loss", 3.2, 3.0, 2.9, Missing, math.NaN()),
		numbers("smooth loss", 3.1, 2.95, 2.85, Missing, math.Inf(1)),
		text("opt", "adamw", "adamw", "muon", "", "muon"),
		numbers("D", 1e9, 2e9, 4e9, 8e9, 16e9),
		numbers("N", 1e8, 1e8, 4e8, 4e8, 4e9),
		numbers("D/N", 10, 20, 10, 20, 4),
	)
}

func TestColumn(t *testing.T) {
	tb := tableOf(numbers("Loss", 1), numbers("loss", 2), numbers("Smooth Loss", 3), numbers("val/loss", 4), numbers("val_loss", 5))
	tests := []struct {
		name string
		want float64
	}{
		{"loss", 2},
		{"Loss", 1},
		{"LOSS", 1},
		{"smooth loss", 3},
		{"smooth_loss", 3},
		{"smooth-loss", 3},
		{"val/loss", 4},
		{"val_loss", 5},
		{"VAL/LOSS", 4},
		{"val loss", 4},
	}
	for _, tt := range tests {
		c := tb.Column(tt.name)
		if c == nil || c.Value(0) != tt.want {
			t.Errorf("Column(%q) = %v, want the one with %v", tt.name, c, tt.want)
		}
	}
	if c := tb.Column("nothing"); c != nil {
		t.Errorf("found %q", c.Name)
	}
}

func TestMissingIsItsOwn(t *testing.T) {
	if !IsMissing(Missing) || !math.IsNaN(Missing) || IsMissing(math.NaN()) || IsMissing(0) {
		t.Error("Missing must be a NaN unlike the others")
	}
}

func TestString(t *testing.T) {
	tests := []struct {
		v    float64
		want string
	}{
		{Missing, ""},
		{math.NaN(), "NaN"},
		{math.Inf(1), "Inf"},
		{math.Inf(-1), "-Inf"},
		{214663680, "214663680"},
		{100e9, "100000000000"},
		{1e15, "1e15"},
		{1e21, "1e21"},
		{3e-5, "3e-5"},
		{0.0003453, "0.0003453"},
		{1.5e-10, "1.5e-10"},
		{2.3976109618296744, "2.3976109618296744"},
		{-2, "-2"},
		{0, "0"},
	}
	for _, tt := range tests {
		if got := numbers("x", tt.v).String(0); got != tt.want {
			t.Errorf("String(%v) = %q, want %q", tt.v, got, tt.want)
		}
	}
	c := text("opt", "adamw", "")
	if c.String(0) != "adamw" || c.String(1) != "" || !math.IsNaN(c.Value(0)) {
		t.Errorf("text column prints %q, %q", c.String(0), c.String(1))
	}
}

func TestSort(t *testing.T) {
	order := func(tb *Table) string {
		var s []string
		for i := range tb.Rows {
			s = append(s, tb.Column("lr").String(i))
		}
		return strings.Join(s, " ")
	}
	tests := []struct {
		column     string
		descending bool
		want       string
	}{
		{"loss", false, "0.001 0.0003 0.0001 0.01 0.003"}, // NaN, then blank
		{"loss", true, "0.0001 0.0003 0.001 0.01 0.003"},
		{"smooth loss", true, "0.01 0.0001 0.0003 0.001 0.003"}, // Inf is a number
		{"opt", false, "0.0001 0.0003 0.001 0.01 0.003"},
		{"opt", true, "0.001 0.01 0.0001 0.0003 0.003"},
		{"bs", false, "0.0001 0.0003 0.001 0.003 0.01"}, // stable
	}
	for _, tt := range tests {
		got, err := Sort(sweep(), tt.column, tt.descending)
		if err != nil {
			t.Fatal(err)
		}
		if order(got) != tt.want {
			t.Errorf("Sort(%s, %v) = %s, want %s", tt.column, tt.descending, order(got), tt.want)
		}
	}
	_, err := Sort(sweep(), "los", false)
	if err == nil || !strings.Contains(err.Error(), "did you mean loss?") {
		t.Errorf("Sort by los: %v", err)
	}
}

func TestSortKeepsLines(t *testing.T) {
	tb := sweep()
	tb.Lines = []int32{2, 3, 5, 7, 9}
	got, err := Sort(tb, "lr", true)
	if err != nil {
		t.Fatal(err)
	}
	if got.Line(0) != 9 || got.Line(4) != 2 || tb.Line(0) != 2 {
		t.Errorf("lines after sorting: %v", got.Lines)
	}
}

func TestDerive(t *testing.T) {
	tb, err := Derive(sweep(), "tokens", "bs*2048")
	if err != nil {
		t.Fatal(err)
	}
	if c := tb.Column("tokens"); c == nil || c.Value(0) != 65536 || len(tb.Columns) != 9 {
		t.Fatalf("derived %v", c)
	}
	// Replacing keeps the place, and what is computed from a blank cell is blank.
	tb, err = Derive(tb, "loss", "loss * 2 + ln(lr)")
	if err != nil {
		t.Fatal(err)
	}
	c := tb.Column("loss")
	if tb.Columns[2] != c || !IsMissing(c.Value(3)) || IsMissing(c.Value(4)) || !math.IsNaN(c.Value(4)) {
		t.Errorf("replaced loss: %v", c.Numbers)
	}
	tb, err = Derive(tb, "good", `loss < 0 && opt == "muon"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := tb.Column("good").Numbers; !slices.Equal(got, []float64{0, 0, 1, 0, 0}) {
		t.Errorf("good = %v", got)
	}
	tb, err = Derive(tb, "kind", `bs == 32 ? "small" : opt`)
	if err != nil {
		t.Fatal(err)
	}
	k := tb.Column("kind")
	if k.Kind != Text || k.String(0) != "small" || k.String(2) != "muon" || k.String(3) != "" || k.Codes[3] != 0 {
		t.Errorf("kind = %v %v", k.Words, k.Codes)
	}
	if len(sweep().Columns) != 8 {
		t.Error("the table was changed")
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"smooth loss": "smooth_loss", "D/N": "d_n", " lr ": "lr", "val_bpb (post-quant)": "val_bpb_post_quant",
		"η": "η", "": "", "//": "", "__MIN": "__min", "a  -  b": "a_b",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFoldIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := Fold(rapid.String().Draw(t, "name"))
		if again := Fold(once); again != once {
			t.Fatalf("Fold(%q) = %q", once, again)
		}
	})
}
