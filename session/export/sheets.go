package export

import (
	"math"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
)

// tables are a value or a study of tables.
type tables interface {
	Sheets() []session.Sheet
	Summary() string
}

// reportSheets sets the tables of a value; texts for other programs are left to Snippet
// and CSV.
func reportSheets(v tables) []block {
	out := []block{line{answerTone, v.Summary()}}
	for _, s := range v.Sheets() {
		switch {
		case s.Text != "":
		case s.Name == session.About:
			var f facts
			for _, r := range s.Rows {
				f = append(f, fact{r[0].Text, r[1].Text})
			}
			out = append(out, f)
		default:
			g := &grid{title: s.Name, heads: s.Heads, right: make([]bool, len(s.Heads))}
			for _, r := range s.Rows {
				row := make([]string, len(r))
				for i, e := range r {
					row[i] = e.Text
					g.right[i] = g.right[i] || !math.IsNaN(e.Value)
				}
				g.rows = append(g.rows, row)
			}
			out = append(out, g)
		}
	}
	return out
}

// encodeSheets gives every table with its numbers in full.
func encodeSheets(o object, v tables) {
	list := []object{}
	for _, s := range v.Sheets() {
		if s.Text != "" {
			continue
		}
		rows := make([][]any, len(s.Rows))
		for i, r := range s.Rows {
			rows[i] = []any{}
			for _, e := range r {
				if math.IsNaN(e.Value) {
					rows[i] = append(rows[i], e.Text)
				} else {
					rows[i] = append(rows[i], num(e.Value))
				}
			}
		}
		list = append(list, object{"name": s.Name, "columns": s.Heads, "rows": rows})
	}
	o["tables"], o["summary"] = list, v.Summary()
}

// sheetRecords is the first table of a value.
func sheetRecords(v session.Sheeted) [][]string {
	s := v.Sheets()[0]
	rows := [][]string{s.Heads}
	for _, r := range s.Rows {
		row := make([]string, len(r))
		for i, e := range r {
			row[i] = e.Text
			if !math.IsNaN(e.Value) {
				row[i] = table.FormatNumber(e.Value)
			}
		}
		rows = append(rows, row)
	}
	return rows
}
