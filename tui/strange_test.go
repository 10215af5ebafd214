package tui

import (
	"math"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// oddNotebook shows given values in place of the computed ones.
type oddNotebook struct {
	*session.Session
	values []session.Value
}

func (n oddNotebook) Items() []session.Item {
	var items []session.Item
	for i, v := range n.values {
		items = append(items, session.Item{Line: i, Cell: &session.Cell{
			Line: i, Number: i + 1, Name: "v" + itoa(i), Verb: "odd", Text: "v" + itoa(i) + " = odd", Status: session.Done, Value: v,
			Notes: []string{"a note\nwith a break", "\x1b[31mred\x1b[0m"},
		}})
	}
	return items
}

func (n oddNotebook) Answer(line int) (session.Answer, bool) {
	if line < 0 || line >= len(n.values) {
		return session.Answer{}, false
	}
	return session.Answer{Cell: session.Cell{Name: "a", Value: n.values[line]}}, true
}

// oddValues are values with nothing in them, or nothing but trouble.
func oddValues() []session.Value {
	nan := math.NaN()
	bad := &fitting.CurveSet{Curves: []fitting.Curve{
		{},
		{Key: fitting.Key{N: nan, D: math.Inf(1), Extra: "seed=1\nopt"}, Points: []fitting.Point{{LR: nan, Loss: math.Inf(1)}}, OK: true, LnLR: nan},
		{Key: fitting.Key{N: 1e9}, Points: []fitting.Point{{LR: 1e-3, Loss: 2, B: nan}}, Bound: fitting.BoundAbove, BoundLR: 1e-3, Flags: []fitting.Flag{fitting.FlagNearEdge}},
		{Diverged: []fitting.Point{{LR: 1, Loss: nan}}, Excluded: []fitting.Point{{LR: 1e-3, Loss: 3}}},
	}}
	wide := &table.Table{Rows: 2, Columns: []*table.Column{
		{Name: "漢字 column\x1b[2J", Kind: table.Text, Codes: []uint32{0, 1}, Words: []string{"", "a very long text that goes on and on\nand breaks"}},
		{Name: "x", Numbers: []float64{nan, table.Missing}},
	}}
	return []session.Value{
		nil,
		session.Table{Table: &table.Table{}},
		session.Table{Table: wide},
		session.View{Table: wide, Columns: []string{"x", "no such"}},
		session.Curves{CurveSet: &fitting.CurveSet{}},
		session.Curves{CurveSet: bad},
		session.Law{Law: &fitting.Law{}},
		session.Law{Law: &fitting.Law{Coef: []fitting.Coefficient{{Name: "C", Value: nan, Lo: nan, Hi: nan, SE: nan}, {Name: "N", Value: math.Inf(-1)}}, Curves: bad, Cells: []fitting.LawCell{{LnLR: nan}}, Notes: []string{"one", "two"}}},
		session.Prediction{Prediction: &fitting.Prediction{}},
		session.Prediction{Prediction: &fitting.Prediction{
			LR: nan, Low: nan, High: nan, Band: [2]float64{nan, nan}, AtRegret: nan, NFactor: nan, IntervalRegret: nan,
			Warnings: []string{"careful"}, Windows: []fitting.WindowShift{{LnLR: nan, Err: "none"}}, Beside: []fitting.BesideLaw{{Name: "", LR: nan, B: nan, Why: "no"}},
		}},
		session.Comparison{Comparison: &fitting.Comparison{}},
		session.Comparison{Comparison: &fitting.Comparison{Rows: []fitting.CompareRow{{Name: "a", MeanAbsErr: nan, Err: "no score"}}}},
		session.Published{Published: &fitting.Published{}},
		session.Sweep{},
		session.Sweep{Table: &table.Table{}, Runs: make([]session.SweepRun, 3)},
		oddSweep(),
		session.Picture{},
		session.Picture{Of: session.Curves{CurveSet: bad}, File: "a.png"},
		session.Picture{Of: session.View{Table: wide, Columns: []string{"x"}}},
		session.Note{Text: "漢字\x1b[31m and\nmore"},
		session.Expectation{Said: "no", Got: nan},
	}
}

// oddSweep has runs in every state and losses that are none.
func oddSweep() session.Sweep {
	nan := math.NaN()
	v := session.Sweep{Table: &table.Table{}}
	for i, st := range []rundir.State{rundir.Queued, rundir.Running, rundir.Paused, rundir.Finished, rundir.Diverged, rundir.Stopped, rundir.Failed, rundir.Interrupted, "", "漢字\x1b[2J"} {
		for j, lr := range []float64{0, -1, nan, math.Inf(1), 1e-3} {
			r := session.SweepRun{Config: config.Default(config.Dense(8*(1+i%3), 1, 256, 16), lr), Status: rundir.Status{State: st, Val: rundir.Number(nan), Rate: rundir.Number(math.Inf(1)), Tokens: -5}}
			r.Tokens, r.Losses = []float64{0, nan, 3, 2}, []float64{nan, math.Inf(1), -1, 0, 7}
			if j == 1 {
				r.Config.Tokens, r.Status.Val, r.Tokens = 4096, 2, nil
			}
			v.Runs = append(v.Runs, r)
		}
	}
	return v
}

// TestOddValues: no value, however empty or broken, breaks the screen.
func TestOddValues(t *testing.T) {
	m := newScreen(t, oddNotebook{openNotebook(t, ""), oddValues()}, 120, 36)
	for _, size := range [][2]int{{120, 36}, {80, 24}, {200, 50}, {30, 10}, {5, 5}, {1, 1}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for i := range m.items {
			m.moveFocus(i - m.focus)
			for _, k := range []string{"v", "~", "|", "}", "}", "{", "]", "+", "[", "enter", "+", "z", "]", "L", "-", "esc", "esc", "[", "v", "s", ">", "s", "S", "]", ".", "x", "v", "end", "z", "v", "z", "|", "~", "!", "esc"} {
				m.Update(keyPress(k))
				if err := fits(m); err != nil {
					t.Fatalf("%T after %s: %v", m.items[i].Cell.Value, k, err)
				}
			}
		}
	}
}

// BenchmarkScrollMillionRows pages through a table that no screen can hold.
func BenchmarkScrollMillionRows(b *testing.B) {
	const rows = 1_000_000
	t := &table.Table{Rows: rows}
	for _, name := range []string{"N", "D", "lr", "loss"} {
		c := &table.Column{Name: name, Numbers: make([]float64, rows)}
		for i := range c.Numbers {
			c.Numbers[i] = float64(i*7919%rows) / 1000
		}
		t.Columns = append(t.Columns, c)
	}
	m := newScreen(b, oddNotebook{openNotebook(b, ""), []session.Value{session.Table{Table: t}}}, 200, 50)
	m.View()
	b.ReportAllocs()
	for b.Loop() {
		m.Update(keyPress("pgdown"))
		m.View()
	}
}

// TestLongSort: a million rows are sorted aside, and the screen says so.
func TestLongSort(t *testing.T) {
	const rows = longSort + 1
	c := &table.Column{Name: "x", Numbers: make([]float64, rows)}
	for i := range c.Numbers {
		c.Numbers[i] = float64(rows - i)
	}
	c.Numbers[3] = table.Missing
	tab := &table.Table{Rows: rows, Columns: []*table.Column{c}}
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{session.Table{Table: tab}}}, 80, 24)
	_, cmd := m.Update(keyPress("s"))
	if cmd == nil || !m.sorted.busy {
		t.Fatal("the sort did not go aside")
	}
	m.Update(cmd())
	st := m.stateOf(m.focused()).grid
	g := m.grid(m.focused())
	if first := m.rowAt(g, st, 0); first != rows-1 {
		t.Errorf("row %d comes first", first)
	}
	if last := m.rowAt(g, st, rows-1); last != 3 {
		t.Errorf("the blank is not last: %d", last)
	}
}
