package importers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// cell is a value of a run under its name.
type cell struct {
	name   string
	word   string // of text
	isText bool
	value  float64
	last   float64 // of a learning rate, of which value is the peak
	curve  bool    // there is a curve behind it
	early  string  // where the curve of a loss ended, if long before the run did
}

// cellsOf returns the cells of a record, without blank ones.
func cellsOf(t *table.Table) []cell {
	var cells []cell
	for _, c := range t.Columns {
		// W&B's notes on the run's software.
		if strings.HasPrefix(c.Name, "_wandb/") || c.Name == "wandb_version" {
			continue
		}
		if c.Kind == table.Text {
			if w := c.String(0); w != "" {
				cells = append(cells, cell{name: c.Name, word: w, isText: true})
			}
		} else if v := c.Numbers[0]; !table.IsMissing(v) {
			cells = append(cells, cell{name: c.Name, value: v, last: v})
		}
	}
	return cells
}

// grid collects the cells of runs by column.
type grid struct {
	rows  int
	names []string
	at    map[string]int
	cells [][]*cell
}

func (g *grid) set(row int, name string, c *cell) error {
	k, ok := g.at[name]
	if !ok {
		if len(g.names) >= min(maxColumns, maxCells/max(1, g.rows)) {
			return fmt.Errorf("the runs have more than %d different keys: are values used as keys?", len(g.names))
		}
		k = len(g.names)
		g.at[name] = k
		g.names = append(g.names, name)
		g.cells = append(g.cells, make([]*cell, g.rows))
	}
	g.cells[k][row] = c
	return nil
}

func (g *grid) has(row int, name string) bool {
	k, ok := g.at[name]
	return ok && g.cells[k][row] != nil
}

// nameColumn is the column of the runs' names.
const nameColumn = "run"

// assemble makes the table of runs: the configurations first, then the metrics. A
// metric called like a configuration value is metrics/name; a learning rate that a
// run logged is its schedule, so where configurations have one it is last/name.
func assemble(runs []run, f final, curves bool) (*Runs, error) {
	out := &Runs{}
	g := &grid{rows: len(runs), at: map[string]int{nameColumn: -1}}
	configured := false // a learning rate is
	for i := range runs {
		r := &runs[i]
		if r.history != nil {
			r.metrics, r.curves = reduce(r.history, r.step, f, curves)
		}
		r.takeConfig()
		for k := range r.config {
			c := &r.config[k]
			name := c.name
			if name == nameColumn {
				name = "config/" + name
			}
			if f.role(name) == table.RoleLR && !c.isText && c.value > 0 {
				configured = true
			}
			if g.has(i, name) {
				continue // of several files the first counts
			}
			if err := g.set(i, name, c); err != nil {
				return nil, err
			}
		}
		out.Planned = append(out.Planned, r.planned())
		for _, c := range r.curves {
			c.Row = i
			out.Curves = append(out.Curves, c)
		}
	}
	m := &metrics{final: f, configured: configured, config: maps.Clone(g.at)}
	for i := range runs {
		if err := m.add(g, i, &runs[i]); err != nil {
			return nil, err
		}
	}
	if f.how == FinalValidation && !m.loss {
		if len(m.dropped) > 0 {
			return nil, fmt.Errorf("final=%s: no run has a loss on held-out data, only %s", f.how, some(m.dropped))
		}
		return nil, fmt.Errorf("final=%s: no run has a loss on held-out data", f.how)
	}
	out.Table = g.table(runs)
	out.Table.Notes = append(m.notes(len(runs)), out.Table.Notes...)
	if note := noLossNote(out.Table); note != "" {
		out.Table.Notes = append(out.Table.Notes, note)
	}
	out.Table.Notes = append(out.Table.Notes, ownNotes(runs)...)
	return out, nil
}

// takeConfig moves what a log says of its run's configuration, in columns
// config/…, to the configuration, unless that has it.
func (r *run) takeConfig() {
	const prefix = "config/"
	r.metrics = slices.DeleteFunc(r.metrics, func(c cell) bool {
		name, ok := strings.CutPrefix(c.name, prefix)
		if ok && !slices.ContainsFunc(r.config, func(o cell) bool { return o.name == c.name || o.name == name }) {
			r.config = append(r.config, c)
		}
		return ok
	})
	r.curves = slices.DeleteFunc(r.curves, func(c Curve) bool { return strings.HasPrefix(c.Name, prefix) })
}

// ownNotes collects the notes of single runs, each once with the runs it is about.
func ownNotes(runs []run) []string {
	const most = 8
	var texts []string
	about := map[string][]string{}
	for _, r := range runs {
		for _, n := range r.notes {
			if about[n] == nil {
				texts = append(texts, n)
			}
			about[n] = append(about[n], r.name)
		}
	}
	var notes []string
	for _, n := range texts[:min(len(texts), most)] {
		notes = append(notes, some(about[n])+": "+n)
	}
	if len(texts) > most {
		notes = append(notes, fmt.Sprintf("%d more notes on single runs", len(texts)-most))
	}
	return notes
}

// table makes the columns.
func (g *grid) table(runs []run) *table.Table {
	t := &table.Table{Rows: g.rows}
	names := &table.Column{Name: nameColumn, Kind: table.Text}
	words := newDictionary()
	for _, r := range runs {
		names.Codes = append(names.Codes, words.code([]byte(r.name)))
	}
	names.Words = words.words
	t.Columns = append(t.Columns, names)
	for k, name := range g.names {
		c, note := typedColumn(name, g.cells[k], runs)
		t.Columns = append(t.Columns, c)
		if note != "" {
			t.Notes = append(t.Notes, note)
		}
	}
	return t
}

// typedColumn makes a column of cells: of numbers if all are.
func typedColumn(name string, cells []*cell, runs []run) (*table.Column, string) {
	c := &table.Column{Name: name}
	numbers, texts, bad := 0, 0, -1
	for i, v := range cells {
		switch {
		case v == nil:
		case v.isText:
			if texts++; bad < 0 {
				bad = i
			}
		default:
			numbers++
		}
	}
	if texts == 0 {
		c.Numbers = make([]float64, len(cells))
		for i, v := range cells {
			c.Numbers[i] = table.Missing
			if v != nil {
				c.Numbers[i] = v.value
			}
		}
		return c, ""
	}
	c.Kind = table.Text
	words := newDictionary()
	for _, v := range cells {
		w := ""
		if v != nil && v.isText {
			w = v.word
		} else if v != nil {
			w = table.FormatNumber(v.value)
		}
		c.Codes = append(c.Codes, words.code([]byte(w)))
	}
	c.Words = words.words
	note := ""
	if numbers >= 4*texts {
		note = fmt.Sprintf("column %s is text: %s has %s; %d others are numbers",
			strconv.Quote(name), runs[bad].name, strconv.Quote(cut(cells[bad].word)), numbers)
	}
	return c, note
}

// pickRows returns the rows listed.
func pickRows(t *table.Table, rows []int) *table.Table {
	out := *t
	out.Rows, out.Columns, out.Lines = len(rows), nil, nil
	for _, r := range rows {
		out.Lines = append(out.Lines, int32(t.Line(r)))
	}
	for _, c := range t.Columns {
		p := *c
		p.Numbers, p.Codes = nil, nil
		for _, r := range rows {
			if c.Kind == table.Text {
				p.Codes = append(p.Codes, c.Codes[r])
			} else {
				p.Numbers = append(p.Numbers, c.Numbers[r])
			}
		}
		out.Columns = append(out.Columns, &p)
	}
	return &out
}

// tally prints how often each word occurs.
func tally(of map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		name := k
		if name == "" {
			name = "blank"
		}
		parts = append(parts, fmt.Sprintf("%d %s", of[k], name))
	}
	return some(parts)
}
