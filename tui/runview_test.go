package tui

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/rundir"
)

// loggedSweep is liveSweep with a log on disk for the run that trains, and its index.
func loggedSweep(t *testing.T) (session.Sweep, int, *rundir.Writer) {
	t.Helper()
	v := liveSweep()
	for i := range v.Runs {
		r := &v.Runs[i]
		if r.Status.State != rundir.Running {
			continue
		}
		out, _, err := rundir.Create(t.TempDir(), "s", r.Config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = out.Close() })
		e := appendEvents(t, out, 0, r.Status.Step)
		r.Dir, r.Status.Val, r.Status.ValSE, r.Status.Loss = out.Dir(), e.Loss+0.1, 0.012, e.Loss
		return v, i, out
	}
	t.Fatal("none trains")
	return v, 0, nil
}

// appendEvents logs the steps after from up to to and returns the last.
func appendEvents(t *testing.T, out *rundir.Writer, from, to int64) (e rundir.Event) {
	t.Helper()
	c := out.Config()
	curve, err := c.Curve()
	if err != nil {
		t.Fatal(err)
	}
	if from == 0 {
		if err := out.Append(rundir.Event{Val: 5.55, ValSE: 0.01, Loss: 5.55}); err != nil {
			t.Fatal(err)
		}
	}
	for step := from + 1; step <= to; step++ {
		x := float64(step)
		loss := 1.76 + 2.4*math.Exp(-x/12)
		e = rundir.Event{
			Step: step, Tokens: step * c.BatchTokens(), LR: rundir.Number(curve.LR(step - 1)),
			Loss: rundir.Number(loss + 0.06*math.Sin(x*x)), GradNorm: rundir.Number(0.4 + 3*math.Exp(-x/6) + 0.1*math.Sin(7*x)),
		}
		if step%10 == 0 {
			e.Val, e.ValSE = rundir.Number(loss+0.11), 0.012
		}
		if err := out.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return e
}

// act presses keys and lets what they read arrive.
func act(m *Model, keys ...string) {
	for _, k := range keys {
		_, cmd := m.Update(keyPress(k))
		deliver(m, cmd)
	}
}

func deliver(m *Model, cmd tea.Cmd) {
	for cmd != nil {
		msg, ok := cmd().(loggedMsg)
		if !ok {
			return
		}
		_, cmd = m.Update(msg)
	}
}

// pickRun presses ] until a run is picked.
func pickRun(t *testing.T, m *Model, want int) {
	t.Helper()
	for range 20 {
		act(m, "]")
		if _, i := m.runPicked(); i == want {
			return
		}
	}
	t.Fatalf("run %d cannot be picked\n%s", want, emulated(m))
}

// TestGoldenRun looks at a picked run among the others, and alone.
func TestGoldenRun(t *testing.T) {
	v, at, _ := loggedSweep(t)
	for _, size := range [][2]int{{200, 50}, {120, 36}, {80, 24}} {
		m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v}}, size[0], size[1])
		name := fmt.Sprintf("%dx%d-run", size[0], size[1])
		pickRun(t, m, at)
		golden(t, name+"-picked", emulated(m))
		act(m, "+", "+")
		golden(t, name+"-quarter", emulated(m))
		act(m, "-", "-", "enter")
		golden(t, name, emulated(m))
		act(m, "z", "L", "+")
		golden(t, name+"-smooth-log-half", emulated(m))
	}
}

// TestRunKeys walks there and back.
func TestRunKeys(t *testing.T) {
	v, at, _ := loggedSweep(t)
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v}}, 120, 36)
	act(m, "enter")
	if m.mode != editing {
		t.Fatal("Enter does not edit where no run is picked")
	}
	act(m, "esc")
	first := v.Groups()[1].Runs[0]
	for _, k := range []struct {
		key  string
		want int
	}{{"]", first}, {"[", first + 4}, {"]", first}, {"[", first + 4}, {"esc", -1}, {"[", first + 4}, {"}", -1}, {"]", first + 5}, {"{", -1}} {
		act(m, k.key)
		if _, i := m.runPicked(); i != k.want {
			t.Fatalf("%s picks %d, not %d", k.key, i, k.want)
		}
	}
	if _, ok := m.sweepOf(); !ok || m.mode != browsing {
		t.Fatal("the sweep is no longer looked at")
	}
	pickRun(t, m, at)
	act(m, "enter")
	if m.mode != viewing || !strings.Contains(emulated(m), "gradient norm") {
		t.Fatalf("Enter does not open the run\n%s", emulated(m))
	}
	act(m, "?", "esc")
	if m.mode != viewing {
		t.Fatal("closing the help leaves the run too")
	}
	act(m, "[")
	if _, i := m.runPicked(); i != at-1 {
		t.Fatalf("[ goes to %d, not %d", i, at-1)
	}
	act(m, "esc")
	if _, i := m.runPicked(); m.mode != browsing || i != at-1 {
		t.Fatal("Esc does not lead back to the run picked")
	}
	act(m, "e")
	if m.mode != editing {
		t.Fatal("e does not edit where a run is picked")
	}
	act(m, "esc", "esc", "v", "v", "v")
	if _, i := m.runPicked(); i >= 0 {
		t.Fatal("Esc does not let go")
	}
	if at := m.places(); at&onTable == 0 || at&(onRuns|onRun) != 0 {
		t.Fatal("a table of runs has lines to pick from")
	}
}

// TestRunLogGrows: what a run logs arrives at the next look, and a log written anew
// replaces what was there.
func TestRunLogGrows(t *testing.T) {
	v, at, out := loggedSweep(t)
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v}}, 120, 36)
	pickRun(t, m, at)
	act(m, "enter")
	steps := v.Runs[at].Status.Step
	if n := int64(len(m.log.events)); n != steps+1 {
		t.Fatalf("%d events of %d steps", n, steps)
	}
	before, screen := m.log.gen, emulated(m)
	deliver(m, m.followRun())
	if m.log.gen != before || m.dirty {
		t.Error("a look that finds nothing draws anew")
	}
	appendEvents(t, out, steps, steps+20)
	deliver(m, m.followRun())
	if n := int64(len(m.log.events)); n != steps+21 {
		t.Errorf("%d events of %d steps", n, steps+20)
	}
	if emulated(m) == screen {
		t.Error("20 steps more look the same")
	}
	log := filepath.Join(out.Dir(), "events.jsonl")
	if err := os.WriteFile(log, []byte(`{"step":1,"tokens":2048,"lr":1e-3,"loss":4}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deliver(m, m.followRun())
	if n := len(m.log.events); n != 1 {
		t.Errorf("%d events of a log of one line", n)
	}
	// While one command reads, no other may; what a log let go of finds is dropped.
	reading := m.followRun()
	if reading == nil || m.followRun() != nil {
		t.Error("two commands read one log")
	}
	act(m, "esc", "esc")
	deliver(m, reading)
	if m.log != nil {
		t.Error("the log is still followed")
	}
}

// vanishing is a notebook whose sweep loses its runs.
type vanishing struct {
	oddNotebook
	gone *bool
}

func (n vanishing) Items() []session.Item {
	items := n.oddNotebook.Items()
	if *n.gone {
		v := n.values[0].(session.Sweep)
		v.Runs = v.Runs[:3]
		items[0].Cell.Value = v
	}
	return items
}

// TestRunGone: a run that is no longer there is let go, and the view of it left.
func TestRunGone(t *testing.T) {
	v, at, _ := loggedSweep(t)
	gone := false
	m := newScreen(t, vanishing{oddNotebook{openNotebook(t, ""), []session.Value{v}}, &gone}, 80, 24)
	pickRun(t, m, at)
	act(m, "enter", "?")
	gone = true
	m.Update(changedMsg{})
	act(m, "esc")
	if _, i := m.runPicked(); i >= 0 || m.mode != browsing || m.stateOf(m.focused()).sweep.run != "" {
		t.Errorf("run %d of mode %v", i, m.mode)
	}
	if err := fits(m); err != nil {
		t.Error(err)
	}
}

// TestPickedWithoutColour: a picked run is marked by more than a colour.
func TestPickedWithoutColour(t *testing.T) {
	v, at, _ := loggedSweep(t)
	m := newModel(t.Context(), oddNotebook{openNotebook(t, ""), []session.Value{v}}, "none", true)
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 36})
	pickRun(t, m, at)
	for _, keys := range [][]string{{}, {"+"}, {"v"}, {"v", "v", "enter"}, {"~"}} {
		act(m, keys...)
		content := m.View().Content
		for _, seq := range []string{"\x1b[3", "\x1b[4", "\x1b[9", "38;", "48;"} {
			if at := indexSGR(content, seq); at != "" {
				t.Fatalf("a colour after %v: %q", keys, at)
			}
		}
		if m.mode == browsing && (!strings.Contains(content, "▸━ 3.16e-2") || strings.Count(content, "━") < 8) {
			t.Fatalf("the picked run does not stand out after %v\n%s", keys, emulated(m))
		}
	}
}

// TestAnyKeysOnSweeps presses the keys of sweeps in any order on any size of screen.
func TestAnyKeysOnSweeps(t *testing.T) {
	v, _, _ := loggedSweep(t)
	nb := oddNotebook{openNotebook(t, ""), []session.Value{v, oddSweep(), session.Sweep{}, session.Sweep{Table: &table.Table{}, Runs: make([]session.SweepRun, 3)}}}
	keys := []string{"up", "down", "v", "z", "s", "e", "space", "enter", "esc"}
	for _, b := range runKeys() {
		keys = append(keys, b.keys...)
	}
	for _, b := range sweepKeys() {
		if b.keys[0] != "T" { // it trains
			keys = append(keys, b.keys...)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := newScreen(t, nb, rapid.IntRange(1, 140).Draw(rt, "w"), rapid.IntRange(1, 50).Draw(rt, "h"))
		for range rapid.IntRange(1, 40).Draw(rt, "n") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(1, 220).Draw(rt, "w"), Height: rapid.IntRange(1, 60).Draw(rt, "h")})
			case 1:
				m.Update(changedMsg{})
				deliver(m, m.followRun())
			default:
				m.Update(keyPress(rapid.SampledFrom(keys).Draw(rt, "key")))
			}
			if err := fits(m); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// TestRunViewFits: one run on a screen of any size, with its log and without, of every
// state, sound or odd.
func TestRunViewFits(t *testing.T) {
	v, at, _ := loggedSweep(t)
	odd := oddSweep()
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v, odd}}, 120, 36)
	runs := [][]int{{at, 4, 10}, {0, 6, 12, 23, 29, 33, 38, 44, 49}}
	for item := range runs {
		m.moveFocus(item - m.focus)
		for _, i := range runs[item] {
			sweep, _ := m.sweepOf()
			st := &m.stateOf(m.focused()).sweep
			st.at, st.run = i, sweep.Runs[i].Config.Name()
			deliver(m, m.followRun())
			for w := 1; w < 210; w += 23 {
				for _, h := range []int{1, 2, 3, 5, 8, 12, 17, 22, 29, 50} {
					for _, keys := range [][]string{{"enter"}, {"+", "z", "L"}, {"esc"}} {
						act(m, keys...)
						m.Update(tea.WindowSizeMsg{Width: w, Height: h})
						if err := fits(m); err != nil {
							t.Fatalf("run %d after %v: %v", i, keys, err)
						}
					}
				}
			}
		}
	}
}
