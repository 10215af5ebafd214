package session

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// changed returns the one line in which two texts of equal length in lines differ.
func changed(t *testing.T, before, after string) string {
	t.Helper()
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	if len(a) != len(b) {
		t.Fatalf("%d lines became %d", len(a), len(b))
	}
	out := ""
	for i := range a {
		if a[i] != b[i] {
			if out != "" {
				t.Fatalf("lines %q and %q both changed", out, b[i])
			}
			out = b[i]
		}
	}
	return out
}

func TestTurn(t *testing.T) {
	tests := []struct {
		cell, param string
		steps       int
		coarse      bool
		want        string
	}{
		{"curves", "window", 1, false, `curves = curves runs by=N,D window=3`},
		{"curves", "window", -9, false, `curves = curves runs by=N,D window=1`},
		{"curves", "window", 4, false, `curves = curves runs by=N,D window=1%`},
		{"curves", "window", 99, false, `curves = curves runs by=N,D window=all`},
		{"curves", "form", 1, false, `curves = curves runs by=N,D window=2 form=cubic`},
		{"curves", "form", -1, false, `curves = curves runs by=N,D window=2 form=asymmetric`},
		{"curves", "by", 1, false, `curves = curves runs by=N window=2`},
		{"law", "N", 1, false, `law    = law curves form=power N=-0.49`},
		{"law", "D", -1, true, `law    = law curves form=power D=0.15`},
		{"target", "N", 1, false, `target = predict law N=1.8B  D=16B`},
		{"target", "N", -1, false, `target = predict law N=1.5B  D=16B`},
		{"target", "N", 1, true, `target = predict law N=2B  D=16B`},
		{"target", "D", -3, true, `target = predict law N=1.6B  D=2B`},
		{"target", "near", 1, false, `target = predict law N=1.6B  D=16B near=0.5%`},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			s := open(t, smallNotebook)
			if err := s.Turn(cell(t, s, tt.cell).Line, tt.param, tt.steps, tt.coarse); err != nil {
				t.Fatal(err)
			}
			if got := changed(t, smallNotebook, s.Text()); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			settle(t, s)
			if c := cell(t, s, tt.cell); c.Err != nil {
				t.Errorf("after the turn: %v", c.Err)
			}
		})
	}
}

// TestTurnAndBack: as many steps back give the text of before, for every knob.
func TestTurnAndBack(t *testing.T) {
	s := open(t, smallNotebook)
	for _, name := range []string{"curves", "law", "target"} {
		line := cell(t, s, name).Line
		for _, k := range s.Knobs(line) {
			if !k.Written || k.Text == "all" {
				continue
			}
			before := s.Text()
			for _, step := range []int{1, 1, -1, -1} {
				if err := s.Turn(line, k.Param.Name, step, false); err != nil {
					t.Fatalf("%s.%s: %v", name, k.Param.Name, err)
				}
			}
			if got := s.Text(); got != before {
				t.Errorf("%s.%s: there and back gives %q", name, k.Param.Name, changed(t, before, got))
			}
		}
	}
}

func TestTogglePins(t *testing.T) {
	s := open(t, smallNotebook)
	line := cell(t, s, "law").Line
	if err := s.Toggle(line, "D"); err != nil {
		t.Fatal(err)
	}
	if got, want := changed(t, smallNotebook, s.Text()), "law    = law curves form=power D=0.25"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	settle(t, s)
	if l := cell(t, s, "law").Value.(Law); !l.Coef[2].Pinned {
		t.Errorf("not pinned: %+v", l.Coef)
	}
	if err := s.Toggle(line, "D"); err != nil {
		t.Fatal(err)
	}
	if s.Text() != smallNotebook {
		t.Errorf("%q", s.Text())
	}
}

func TestToggleListed(t *testing.T) {
	s := open(t, smallNotebook)
	curves, law := cell(t, s, "curves").Line, cell(t, s, "law").Line
	for _, step := range []struct {
		line  int
		value string
		want  string
	}{
		{curves, "4", "curves = curves runs by=N,D window=2 exclude=[4]"},
		{curves, "5", "curves = curves runs by=N,D window=2 exclude=[4,5]"},
		{curves, "4", "curves = curves runs by=N,D window=2 exclude=[5]"},
		{curves, "5", "curves = curves runs by=N,D window=2"},
		{law, "100M, 1B", `law    = law curves form=power exclude=["100M, 1B"]`},
	} {
		if err := s.ToggleListed(step.line, "exclude", step.value); err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(s.Text(), "\n")[step.line]; got != step.want {
			t.Errorf("%q, want %q", got, step.want)
		}
		settle(t, s)
		if c := s.Cells()[step.line-3]; c.Err != nil && step.line == curves {
			t.Errorf("%s: %v", step.want, c.Err)
		}
	}
	if v := cell(t, s, "law").Value.(Law); v.Cells[0].Used {
		t.Error("the excluded cell is still used")
	}
}

func TestUndo(t *testing.T) {
	s := open(t, smallNotebook)
	line := cell(t, s, "curves").Line
	for range 3 {
		if err := s.Turn(line, "window", 1, false); err != nil {
			t.Fatal(err)
		}
	}
	turned := s.Text()
	at := s.InsertStatement(line, "note \"one\"\nnote \"two\"")
	if at != line+1 || strings.Split(s.Text(), "\n")[at+1] != `note "two"` {
		t.Errorf("inserted at %d: %q", at, s.Text())
	}
	inserted := s.Text()
	for _, step := range []struct{ label, text string }{{"new statement", turned}, {"knob window", smallNotebook}, {"", smallNotebook}} {
		if got := s.Undo(); got != step.label || s.Text() != step.text {
			t.Errorf("undo %q: %q", got, s.Text())
		}
	}
	for _, step := range []struct{ label, text string }{{"knob window", turned}, {"new statement", inserted}, {"", inserted}} {
		if got := s.Redo(); got != step.label || s.Text() != step.text {
			t.Errorf("redo %q: %q", got, s.Text())
		}
	}
	s.DeleteLine(at)
	if s.Redo() != "" {
		t.Error("an edit keeps what was undone before it")
	}
}

func TestMoveAndProse(t *testing.T) {
	s := open(t, smallNotebook)
	runs := cell(t, s, "runs").Line
	if at := s.MoveStatement(runs, 1); at != runs+1 {
		t.Errorf("moved to %d", at)
	}
	settle(t, s)
	if c := cell(t, s, "curves"); c.Status != Done {
		t.Errorf("order of lines matters: %v", c.Err)
	}
	s.SetProse(0, 2, "# Another\n\ntext\n")
	if got := s.Text(); !strings.HasPrefix(got, "# Another\n\ntext\n\n```eta\n") {
		t.Errorf("%q", got)
	}
}

func TestComplete(t *testing.T) {
	s := open(t, smallNotebook)
	tests := []struct {
		text string
		want []string // first labels
	}{
		{"x = l", []string{"load", "law"}},
		{"x = curves r", []string{"runs"}},
		{"x = curves runs win", []string{"window="}},
		{"x = curves runs form=", []string{"quadratic", "cubic", "asymmetric"}},
		{"x = curves runs by=N,", []string{"N", "D", "B"}},
		{"x = load \"sw", []string{"sweep.csv"}},
		{"x = load \"sweep.csv\" loss=l", []string{}},
		{"runs = load \"sweep.csv\" loss=l", []string{"lr", "loss"}},
		{"x = show runs sort=l", []string{"lr", "loss"}},
		{"x = law (curves ru", []string{"runs"}},
		{"x = predict ", []string{"law"}},
		{"x = nothing ", nil},
	}
	for _, tt := range tests {
		line := -1
		if strings.HasPrefix(tt.text, "runs") {
			line = cell(t, s, "runs").Line
		}
		got := s.Complete(line, tt.text, len(tt.text))
		var labels []string
		for _, c := range got[:min(len(got), len(tt.want))] {
			labels = append(labels, c.Label)
			if c.End != len(tt.text) || c.Start > c.End {
				t.Errorf("%s: replaces [%d,%d)", tt.text, c.Start, c.End)
			}
		}
		if strings.Join(labels, " ") != strings.Join(tt.want, " ") || len(tt.want) == 0 && len(got) > 0 {
			t.Errorf("%s: %v, want %v", tt.text, labels, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	s := open(t, smallNotebook)
	if err := s.Check(-1, "x = predict law N=1B D=1B"); err != nil {
		t.Error(err)
	}
	if err := s.Check(-1, "x = predict curves N=1B D=1B"); err == nil || err.Col != 12 {
		t.Errorf("wrong type: %v", err)
	}
	if err := s.Check(cell(t, s, "law").Line, "law = law curves"); err != nil {
		t.Errorf("a statement is not in its own way: %v", err)
	}
}

func TestHelp(t *testing.T) {
	for _, v := range Verbs() {
		text, example, ok := Help(v.Name)
		if !ok || !strings.Contains(text, v.Summary) || example == "" {
			t.Errorf("help %s: %v %q", v.Name, ok, text)
		}
		for i := range v.Params {
			if !strings.Contains(text, v.Params[i].Name) {
				t.Errorf("help %s does not name %s", v.Name, v.Params[i].Name)
			}
		}
		// An example that does not parse would be worse than none.
		for line := range strings.Lines(v.Example) {
			got := (&parser{known: map[string]parsed{}}).parse(strings.TrimSpace(line))
			if got.err != nil {
				t.Errorf("example of %s: %v", v.Name, got.err)
			}
		}
	}
	if text, _, ok := Help("curvs"); ok || !strings.Contains(text, "curves") {
		t.Errorf("%v %q", ok, text)
	}
	if diff := cmp.Diff(true, strings.Contains(languageHelp, "1e-4..1e-2 x7")); diff != "" {
		t.Error(diff)
	}
}

func TestWrap(t *testing.T) {
	got := Wrap("short\n  a line that is longer than twenty characters\nη η η η η η η η η η η η\n", 20)
	want := "short\n  a line that is\n  longer than twenty\n  characters\nη η η η η η η η η η\nη η\n"
	if got != want {
		t.Errorf("%q", got)
	}
}
