package importers

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/etastar/etastar/session/table"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          []float64 // nil: no match
	}{
		{"lr{lr}_bs{batch}", "sweep_lr3.453e-04_bs736_x", []float64{3.453e-4, 736}},
		{"lr{lr}", "olmoTrue_lr5e-02_scalernull", []float64{0.05}},
		{"lr{lr}", "lr1e-4small", []float64{1e-4}},
		{"lr{lr}", "lr1e-4-bs32", []float64{1e-4}},
		{"lr_{lr}", "mlm_0p15__lr_1e-4", []float64{1e-4}},
		{"mlm_{p}__lr_{lr}", "mask_mlm_0p15__lr_1e-4", []float64{0.15, 1e-4}},
		{"lr-{lr}", "lr-0.003", []float64{0.003}},
		{"lr={lr},bs={batch}", "train lr=3E+1,bs=1.5K", []float64{30, 1500}},
		{"{N}_{D}", "7B_140B", []float64{7e9, 140e9}},
		{"{N}", "1.1B", []float64{1.1e9}},
		{"{n}x", "12x80", []float64{12}},
		{"lr{lr}…bs{batch}", "lr0.1_h960_bs3", []float64{0.1, 3}},
		{"lr{lr}…bs{batch}", "lr0.1_bsx_bs3", []float64{0.1, 3}},
		{"lr{lr}…{last}", "lr0.1_x_7", []float64{0.1, 7}},
		{"lr{lr}…", "lr0.1", []float64{0.1}},
		{"bs{batch}", "jobs3", nil},
		{"bs{batch}", "jobs3_bs4", []float64{4}},
		{"bs{batch}", "ηbs4", nil},
		{"η{lr}", "x_η0.5", []float64{0.5}},
		{"lr{lr}", "lr", nil},
		{"lr{lr}", "lr-1e-4", nil},
		{"lr{lr}", "lr.5", nil},
		{"lr{lr}", "lr1e", []float64{1}},
		{"lr{lr}", "lr1e-", []float64{1}},
		{"lr{lr}", "lr1.", []float64{1}},
		{"lr{lr}_x", "lr1.5_y", nil},
		{"lr{lr}", "LR1", nil},
		{"lr{lr}", "lr1_lr2", []float64{1}},
		{"a{x}b", "a1a2b", []float64{2}},
		{"a{x}b", "a2b_a2bb", []float64{2}},
		{"bs{batch}", "bs512kb", []float64{512}},
		{"bs{batch}", "bs512k", []float64{512e3}},
		{strings.Repeat("…a", 40) + "{x}", strings.Repeat("a", 4000), nil},
		{"lr{lr}", strings.Repeat("x", 5000) + "_lr1", nil},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		got, ok := p.Match(tt.name)
		if ok != (tt.want != nil) || !slices.Equal(got, tt.want) {
			t.Errorf("%s in %s: %v, %v; want %v", tt.pattern, tt.name, got, ok, tt.want)
		}
	}
	for pattern, want := range map[string]string{
		"":              `pattern "": it takes no value: write one as {lr}`,
		"lr":            "it takes no value",
		"lr{lr":         "{ without } after it",
		"lr}":           "} without { before it",
		"{}":            `"" is no name for a value`,
		"{a b}":         `"a b" is no name for a value`,
		"{1}":           `"1" is no name for a value`,
		"{lr}_{lr}":     "{lr} stands in it twice",
		"lr{lr}{batch}": "{batch} follows another value with nothing between",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// What is written into a name by a pattern is read back exactly.
func TestPatternReadsWhatIsWritten(t *testing.T) {
	p, err := ParsePattern("lr{lr}_bs{batch}")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		lr := math.Exp(rapid.Float64Range(-20, 5).Draw(t, "lr"))
		batch := float64(rapid.IntRange(1, 1<<40).Draw(t, "batch"))
		name := rapid.StringMatching(`([a-z]{0,4}_)?`).Draw(t, "prefix") + "lr" + table.FormatNumber(lr) + "_bs" + table.FormatNumber(batch) +
			rapid.StringMatching(`(_[a-z]{2,5})?`).Draw(t, "suffix")
		if got, ok := p.Match(name); !ok || got[0] != lr || got[1] != batch {
			t.Fatalf("%s: %v", name, got)
		}
	})
}

func TestSuggestPattern(t *testing.T) {
	tests := []struct {
		want  string
		names []string
	}{
		{"lr{lr}_bs{batch}", []string{"sweep_h960_lr3.453e-04_bs736", "sweep_h1024_lr4.883e-04_bs32"}},
		{"lr{lr}", []string{"A-3072x12_8-2048_32nodes_True_lr5e-02_null", "A-768x3_16-2048_16nodes_True_lr1e-04_null"}},
		{"lr{lr}…bs{batch}", []string{"lr0.1_h960_bs3", "lr0.2_h1024_bs4"}},
		{"bs{batch}_lr{lr}", []string{"bs3_lr0.1", "bs4_lr0.2"}},
		{"lr_{lr}", []string{"mask_span__mlm_0p15__lr_1e-4", "mask_standard__mlm_0p15__lr_2e-4"}},
		{"", []string{"lr_sweep_1", "lr_sweep_1e-3"}},
		{"", []string{"crisp-sun-1", "fine-moon-2"}},
		{"", []string{"jobs3", "colr5"}},
		{"", []string{"bs3", "bs4"}},
		{"lr={lr}", []string{"lr=0.1,bs=3", "lr=0.2", "lr=0.3", "lr=0.4", "x"}},
		{"", []string{"lr0.1", "x", "y"}},
		{"learning_rate={lr}/batch_size={batch}", []string{"learning_rate=0.1/batch_size=3", "learning_rate=0.2/batch_size=4"}},
		{"LR{lr}_GBS{batch}_D{D}", []string{"LR0.1_GBS64_D20B", "LR0.2_GBS64_D40B"}},
		{"", []string{}},
		{"lr{lr}_seed{seed}", []string{"lr0.1_seed1", "lr0.1_seed2"}},
	}
	for _, tt := range tests {
		if got := SuggestPattern(tt.names); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.names, got, tt.want)
		}
	}
}

func TestLift(t *testing.T) {
	read := func() *table.Table {
		return mustRead(t, file(t, "x.csv", "exp_name,loss\na_lr1e-3_bs32,3\nb_lr3e-3_bs64,2.5\nother,2\nc_lr0.01_bs64,1.5\nd_lr0.03_bs64,1\n"), Options{})
	}
	tb, err := Lift(read(), "", "lr{lr}_bs{batch}")
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(tb); got != "exp_name' a_lr1e-3_bs32 b_lr3e-3_bs64 other c_lr0.01_bs64 d_lr0.03_bs64\nloss: 3 2.5 2 1.5 1\nlr: 0.001 0.003 _ 0.01 0.03\nbatch: 32 64 _ 64 64\n" {
		t.Error(got)
	}
	note := `lr, batch taken from the names in column "exp_name" by "lr{lr}_bs{batch}"; 1 of 5 names do not match, such as "other"`
	if !slices.Contains(tb.Notes, note) {
		t.Errorf("%v", tb.Notes)
	}
	assigned, err := table.Assign(tb, nil)
	if err != nil || assigned.RoleColumn(table.RoleLR) == nil || assigned.RoleColumn(table.RoleBatch) == nil {
		t.Errorf("%v, %v", assigned.Roles, err)
	}
	for _, tt := range []struct{ column, pattern, want string }{
		{"", "lr{loss}", `there is a column loss already: call the value otherwise`},
		{"", "eta{lr}", `matches no name in column "exp_name", such as "a_lr1e-3_bs32"; "lr{lr}_bs{batch}" would`},
		{"nothing", "lr{lr}", `there is no column "nothing" to take names from`},
		{"loss", "lr{lr}", "no column holds the names of runs; say which"},
		{"", "lr{lr", "{ without } after it"},
	} {
		if _, err := Lift(read(), tt.column, tt.pattern); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if got := read(); len(got.Columns) != 2 || !strings.Contains(strings.Join(got.Notes, "\n"), `name="lr{lr}_bs{batch}" takes it from the names in column "exp_name"`) {
		t.Errorf("%v", got.Notes)
	}
}
