package session

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// smallSweep is two sizes by two horizons by five learning rates of exact parabolas
// with η* = 1e-3·(N/1e8)^-0.5·(D/1e9)^0.25.
const smallSweep = `N,D,lr,loss
1e8,1e9,2.5e-4,3.019218
1e8,1e9,5e-4,3.004805
1e8,1e9,1e-3,3
1e8,1e9,2e-3,3.004805
1e8,1e9,4e-3,3.019218
1e8,16e9,5e-4,2.819218
1e8,16e9,1e-3,2.804805
1e8,16e9,2e-3,2.8
1e8,16e9,4e-3,2.804805
1e8,16e9,8e-3,2.819218
4e8,1e9,1.25e-4,2.919218
4e8,1e9,2.5e-4,2.904805
4e8,1e9,5e-4,2.9
4e8,1e9,1e-3,2.904805
4e8,1e9,2e-3,2.919218
4e8,16e9,2.5e-4,2.619218
4e8,16e9,5e-4,2.604805
4e8,16e9,1e-3,2.6
4e8,16e9,2e-3,2.604805
4e8,16e9,4e-3,2.619218
`

const smallNotebook = `# A sweep

` + "```eta" + `
runs   = load "sweep.csv"   # the small one
curves = curves runs by=N,D window=2
law    = law curves form=power
target = predict law N=1.6B  D=16B
` + "```" + `
`

// folder makes a folder with the small sweep and returns it.
func folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sweep.csv"), []byte(smallSweep), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, text string) *Session {
	t.Helper()
	s := New(text, folder(t))
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	return s
}

func settle(t testing.TB, s *Session) {
	t.Helper()
	if !s.Wait(30 * time.Second) {
		t.Fatal("still computing after 30 s")
	}
}

// cell finds a statement by its name or its text.
func cell(t testing.TB, s *Session, name string) Cell {
	t.Helper()
	for _, c := range s.Cells() {
		if c.Name == name || strings.TrimSpace(c.Text) == name {
			return c
		}
	}
	t.Fatalf("no cell %q", name)
	return Cell{}
}

func TestAnswersTheQuestion(t *testing.T) {
	s := open(t, smallNotebook)
	for _, c := range s.Cells() {
		if c.Status != Done || c.Err != nil || c.Stale {
			t.Errorf("%s: status %v, error %v", c.Name, c.Status, c.Err)
		}
	}
	p := cell(t, s, "target").Value.(Prediction)
	if want := 1e-3 * 0.25 * 2; p.LR < want*0.9999 || p.LR > want*1.0001 {
		t.Errorf("η* = %v, the sweep was made for %v", p.LR, want)
	}
}

// TestSeedsAreAveraged: a column named seed makes runs repeats of each other, unless by= makes
// cells of it.
func TestSeedsAreAveraged(t *testing.T) {
	dir := t.TempDir()
	text := "N,D,lr,loss,seed\n"
	for _, r := range []string{"1e-3,3.1,0", "1e-3,3.3,1", "2e-3,3.0,0", "2e-3,3.0,1", "4e-3,3.2,1"} {
		text += "1e8,2e9," + r + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "seeds.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New("```eta\nruns = load \"seeds.csv\"\nmean = curves runs by=N\neach = curves runs by=N,seed\n```\n", dir)
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	mean := cell(t, s, "mean")
	if mean.Err != nil || !slices.Contains(mean.Notes, "at each learning rate the mean over 2 seeds counts, at 1 over 1") {
		t.Errorf("%v, %q", mean.Err, mean.Notes)
	}
	if p := mean.Value.(Curves).Curves[0].Points[0]; math.Abs(p.Loss-3.2) > 1e-12 || p.Seeds != 2 || p.Row != 0 {
		t.Errorf("the point of two seeds is %+v", p)
	}
	each := cell(t, s, "each")
	if cs := each.Value.(Curves).Curves; len(cs) != 2 || cs[0].Points[0].Loss != 3.1 || strings.Contains(strings.Join(each.Notes, " "), "seeds counts") {
		t.Errorf("%d cells, %q", len(cs), each.Notes)
	}
}

func TestErrorsStayOnTheirCells(t *testing.T) {
	tests := []struct {
		name, statements string
		want             []string // "name: status message [col,end)" of every statement that is not done
	}{
		{
			"unknown name", "law = law curvs\ncurves = curves runs\nruns = load \"sweep.csv\"",
			[]string{"law: 3 nothing is named curvs; did you mean curves? [10,15)"},
		},
		{
			"unknown verb", "x = lod \"sweep.csv\"",
			[]string{`x: 3 there is no verb "lod"; did you mean load? [4,7)`},
		},
		{
			"defined twice", "a = note \"1\"\na = note \"2\"\nb = note \"3\"",
			[]string{"a: 3 a is defined twice, here and on line 3; rename one of them [0,1)", "a: 3 a is defined twice, here and on line 2; rename one of them [0,1)"},
		},
		{
			"cycle", "a = where b lr > 0\nb = where a lr > 0\nc = note \"x\"",
			[]string{"a: 3 depends on itself: a → b → a [0,18)", "b: 3 depends on itself: a → b → a [0,18)"},
		},
		{
			"itself", "a = where a lr > 0",
			[]string{"a: 3 depends on itself: a → a [0,18)"},
		},
		{
			"wrong type", "runs = load \"sweep.csv\"\nlaw = law runs",
			[]string{"law: 3 law takes curves, but runs holds a table [10,14)"},
		},
		{
			"a failing cell and those that wait", "runs = load \"swep.csv\"\nc = curves runs\nl = law c",
			[]string{`runs: 3 load "swep.csv": there is no such file; did you mean "sweep.csv"? [12,22)`, "c: 0 waits for runs", "l: 0 waits for c"},
		},
		{
			"parameter", "runs = load \"sweep.csv\"\nc = curves runs windw=3",
			[]string{`c: 3 curves has no parameter "windw"; did you mean window? [16,21)`},
		},
		{
			"choice", "runs = load \"sweep.csv\"\nc = curves runs form=qadratic",
			[]string{"c: 3 form takes quadratic, cubic or asymmetric, not the name qadratic; did you mean quadratic? [21,29)"},
		},
		{
			"range", "runs = load \"sweep.csv\"\nl = law (curves runs) N=-20",
			[]string{"l: 3 N is at least -10, not -20 [24,27)"},
		},
		{
			"where", "runs = load \"sweep.csv\"\nc = curves runs where lss < 3",
			[]string{`c: 3 there is no column "lss"; did you mean loss? [22,25)`},
		},
		{
			"nested statement", "runs = load \"sweep.csv\"\nl = law (curves rns)",
			[]string{"l: 3 nothing is named rns; did you mean runs? [16,19)"},
		},
		{
			"expectation", "runs = load \"sweep.csv\"\nexpect runs.rows within ten of 20",
			[]string{`: 3 "ten" is not a margin; for example: expect target.lr within 10% of 4.6e-4 [17,33)`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, "```eta\n"+tt.statements+"\n```\n")
			var got []string
			for _, c := range s.Cells() {
				switch {
				case c.Err != nil:
					got = append(got, fmt.Sprintf("%s: %d %v [%d,%d)", c.Name, c.Status, c.Err, c.Err.Col, c.Err.End))
				case c.Status != Done:
					got = append(got, fmt.Sprintf("%s: %d waits for %s", c.Name, c.Status, c.WaitsFor))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOnlyDependantsRecompute: values above an edit stay the very same, and what
// failed keeps its last good value, marked stale.
func TestOnlyDependantsRecompute(t *testing.T) {
	s := open(t, smallNotebook)
	before := map[string]Cell{}
	for _, c := range s.Cells() {
		before[c.Name] = c
	}
	if err := s.Turn(cell(t, s, "law").Line, "form", 2, false); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	for _, c := range s.Cells() {
		same := c.Value == before[c.Name].Value
		if want := c.Name == "runs" || c.Name == "curves"; same != want {
			t.Errorf("%s: same value %v, want %v", c.Name, same, want)
		}
	}
	law := cell(t, s, "law")
	s.SetLine(law.Line, "law = law curves form=")
	settle(t, s)
	now, target := cell(t, s, "law"), cell(t, s, "target")
	if now.Status != Failed || !now.Stale || now.Value != law.Value {
		t.Errorf("broken cell: status %v, stale %v, keeps value %v", now.Status, now.Stale, now.Value == law.Value)
	}
	if target.Status != Waiting || target.WaitsFor != "law" || !target.Stale || target.Value == nil {
		t.Errorf("dependant: %+v", target)
	}
	for s.Undo() != "" {
	}
	settle(t, s)
	for _, c := range s.Cells() {
		if c.Value != before[c.Name].Value {
			t.Errorf("%s was computed again although its inputs are those of before", c.Name)
		}
	}
	if s.Text() != smallNotebook {
		t.Errorf("undone to %q", s.Text())
	}
}

func TestFormatDoesNotRecompute(t *testing.T) {
	s := open(t, smallNotebook)
	before := cell(t, s, "target").Value
	c := cell(t, s, "law")
	s.SetLine(c.Line, "law=law   curves  form=power # a comment")
	settle(t, s)
	if cell(t, s, "target").Value != before {
		t.Error("blanks and comments made the law compute again")
	}
}

func TestAnswer(t *testing.T) {
	s := open(t, smallNotebook+"\n```eta\nother = predict law N=1B D=16B\n```\n")
	a, ok := s.Answer(cell(t, s, "law").Line)
	if !ok || a.Cell.Name != "target" || a.Before != nil {
		t.Fatalf("answer of the law: %v %q %v", ok, a.Cell.Name, a.Before)
	}
	if a, _ := s.Answer(cell(t, s, "other").Line); a.Cell.Name != "other" {
		t.Errorf("answer of the focused prediction: %q", a.Cell.Name)
	}
	if a, _ := s.Answer(0); a.Cell.Name != "other" {
		t.Errorf("answer elsewhere: %q", a.Cell.Name)
	}
	old := a.Cell.Value
	if err := s.SetParam(cell(t, s, "target").Line, "N", "800M"); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if a, _ := s.Answer(cell(t, s, "target").Line); a.Before != old {
		t.Errorf("before the edit: %v, want %v", a.Before, old)
	}
}

// slowVerb waits until it is told to go on, or is cancelled.
func slowVerb(started chan<- string, release <-chan struct{}, runs *atomic.Int32) *Verb {
	return &Verb{
		Name: "slow", Result: "note", Example: `slow "x"`,
		Params: []Param{{Name: "text", String: true, Position: true, Required: true}},
		run: func(c *Call) (Value, error) {
			runs.Add(1)
			started <- c.Text("text")
			c.progress(1, 4)
			select {
			case <-release:
				return Note{c.Text("text")}, nil
			case <-c.Ctx.Done():
				return nil, c.Ctx.Err()
			}
		},
	}
}

// withVerbs adds verbs for one test.
func withVerbs(t *testing.T, verbs ...*Verb) {
	t.Helper()
	old := registry
	all := append(Verbs(), verbs...)
	registry = func() []*Verb { return all }
	t.Cleanup(func() { registry = old })
}

func TestNewestEditWins(t *testing.T) {
	started, release := make(chan string, 10), make(chan struct{})
	var runs atomic.Int32
	withVerbs(t, slowVerb(started, release, &runs))
	s := New("```eta\na = slow \"one\"\nb = note \"kept\"\n```\n", t.TempDir())
	defer s.Close()
	if got := <-started; got != "one" {
		t.Fatal(got)
	}
	if c := cell(t, s, "a"); c.Status != Running || c.Progress != 0.25 {
		t.Errorf("status %v, progress %v", c.Status, c.Progress)
	}
	// An edit elsewhere leaves the running cell alone.
	s.SetLine(2, `b = note "changed"`)
	if s.Wait(20*time.Millisecond) || runs.Load() != 1 {
		t.Errorf("an edit elsewhere restarted the slow cell (%d runs)", runs.Load())
	}
	s.SetLine(1, `a = slow "two"`)
	if got := <-started; got != "two" {
		t.Fatal(got)
	}
	close(release)
	settle(t, s)
	if v := cell(t, s, "a").Value; v != (Note{"two"}) {
		t.Errorf("value %v", v)
	}
}

func TestCancelAndRerun(t *testing.T) {
	started, release := make(chan string, 10), make(chan struct{})
	var runs atomic.Int32
	withVerbs(t, slowVerb(started, release, &runs))
	s := New("```eta\na = slow \"one\"\n```\n", t.TempDir())
	defer s.Close()
	<-started
	s.Cancel(1)
	settle(t, s)
	if c := cell(t, s, "a"); c.Status != Failed || c.Err.Message != "cancelled" {
		t.Errorf("status %v, error %v", c.Status, c.Err)
	}
	s.Rerun(1)
	<-started
	close(release)
	settle(t, s)
	if c := cell(t, s, "a"); c.Status != Done || c.Value != (Note{"one"}) {
		t.Errorf("status %v, value %v", c.Status, c.Value)
	}
}

func TestPanicIsAnErrorOfTheCell(t *testing.T) {
	withVerbs(t, &Verb{Name: "boom", Result: "note", run: func(*Call) (Value, error) { panic("bang") }})
	s := New("```eta\na = boom\nb = note \"x\"\n```\n", t.TempDir())
	defer s.Close()
	settle(t, s)
	if c := cell(t, s, "a"); c.Err == nil || !strings.Contains(c.Err.Message, "bang") {
		t.Errorf("error %v", c.Err)
	}
	if c := cell(t, s, "b"); c.Status != Done {
		t.Errorf("the other cell: %v", c.Err)
	}
}

func TestDataFileThatChangesIsReadAgain(t *testing.T) {
	dir := folder(t)
	s, err := Open(notebookIn(t, dir, smallNotebook), Options{Interactive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	settle(t, s)
	before := cell(t, s, "target").Value
	s.Poll()
	settle(t, s)
	if cell(t, s, "target").Value != before {
		t.Error("computed again although nothing changed")
	}
	grown := smallSweep + "4e8,16e9,8e-3,2.643\n"
	if err := os.WriteFile(filepath.Join(dir, "sweep.csv"), []byte(grown), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Poll()
	settle(t, s)
	if rows := cell(t, s, "runs").Value.(Table).Rows; rows != 21 {
		t.Errorf("%d rows after the file grew to 21", rows)
	}
}

func notebookIn(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "nb.md")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// FuzzNotebook runs any text as a notebook: no panic, every error inside its line.
func FuzzNotebook(f *testing.F) {
	f.Add(smallNotebook)
	f.Add("```eta\nx = predict (law (curves (load \"sweep.csv\") by=N,D) form=\"C*N^a\") N=1B D=1B\nexpect x.lr < 1\n```")
	f.Add("```eta\na = where a b\nshow a sort=b\nplot a \"x.png\"\ncompare a laws=[power]\n```")
	dir := folder(f)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/") {
			return // files elsewhere on the machine are not this test's
		}
		s := New(text, dir)
		defer s.Close()
		settle(t, s)
		if s.Text() != text {
			t.Fatalf("%q became %q", text, s.Text())
		}
		for _, c := range s.Cells() {
			if c.Err == nil {
				continue
			}
			if n := len([]rune(c.Text)); c.Err.Message == "" || c.Err.Col < 0 || c.Err.Col > n || c.Err.End <= c.Err.Col {
				t.Fatalf("%q: error at [%d,%d): %q", c.Text, c.Err.Col, c.Err.End, c.Err.Message)
			}
			if strings.Contains(c.Err.Message, "failed inside") {
				t.Fatalf("%q: %s\n%s", c.Text, c.Err.Message, c.Notes)
			}
		}
		for _, c := range s.Cells() {
			for _, k := range s.Knobs(c.Line) {
				_ = s.Turn(c.Line, k.Param.Name, 1, false)
			}
			s.Complete(c.Line, c.Text, len(c.Text)/2)
		}
		settle(t, s)
	})
}
