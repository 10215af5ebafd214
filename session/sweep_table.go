package session

import (
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// addWord appends a text to a column.
func addWord(c *table.Column, word string) {
	k := slices.Index(c.Words, word)
	if k < 0 {
		c.Words = append(c.Words, word)
		k = len(c.Words) - 1
	}
	c.Codes = append(c.Codes, uint32(k))
}

func micro(x float64) float64 { return math.Round(x*1e6) / 1e6 }

// sweepTable is the sweep as curves and law take it: one row a run with a horizon. N is
// without embedding and head, N_active those of it that a token goes through,
// FLOPs_per_token the M of DeepSeek (arXiv 2401.02954, eq. 2), FLOPs is M·D. A stable run
// that others branch from has no loss of its own at a horizon and is left out. The rule is
// a column where any run has another than the standard one, and what a verb varies besides
// is part.
func sweepTable(runs []SweepRun) *table.Table {
	names := []string{
		"N", "D", "batch_tokens", "lr", "val_loss", "val_se", "FLOPs", "N_total", "N_active", "N_nonembedding", "FLOPs_per_token",
		"d_model", "layers", "experts", "top_k", "seed", "step",
	}
	columns := make([]*table.Column, len(names))
	for i, n := range names {
		columns[i] = &table.Column{Name: n, Kind: table.Number}
	}
	state := &table.Column{Name: "state", Kind: table.Text, Words: []string{""}}
	rule, ruled := &table.Column{Name: "rule", Kind: table.Text, Words: []string{""}}, false
	part, parts := &table.Column{Name: "part", Kind: table.Text, Words: []string{""}}, false
	trunks := map[string]bool{}
	for _, r := range runs {
		if o := r.Config.Origin; o != nil {
			trunks[o.Run] = true
		}
	}
	n := 0
	for _, r := range runs {
		if trunks[r.Config.Name()] {
			continue
		}
		n++
		s, p := r.Config.Shape, r.Config.Shape.Params()
		loss, se := table.Missing, table.Missing
		switch r.Status.State {
		case rundir.Finished:
			// Far below the noise; the status holds every digit.
			loss, se = micro(float64(r.Status.Val)), micro(float64(r.Status.ValSE))
		case rundir.Diverged:
			loss = math.Inf(1)
		}
		for i, v := range []float64{
			float64(p.WithoutVocabulary), float64(r.Config.TrainedTokens()), float64(r.Config.BatchTokens()), r.Config.LR, loss, se,
			float64(r.Config.TrainedTokens()) * s.FLOPs().M, float64(p.Total), float64(p.ActiveWithoutVoc), float64(p.NonEmbedding), s.FLOPs().M,
			float64(s.DModel), float64(s.Layers), float64(s.Experts), float64(s.TopK), float64(r.Config.Seed), float64(r.Status.Step),
		} {
			columns[i].Numbers = append(columns[i].Numbers, v)
		}
		addWord(state, string(r.Status.State))
		addWord(rule, r.Config.Rule)
		addWord(part, strings.TrimSpace(r.Part+" "+r.Line))
		parts = parts || r.Part != ""
		ruled = ruled || r.Config.Rule != config.SP
	}
	columns = append(columns, state)
	if ruled {
		columns = append(columns, rule)
	}
	if parts {
		columns = append(columns, part)
	}
	t := &table.Table{Columns: columns, Rows: n, Source: "sweep"}
	t.Roles = table.Roles{}
	for role, name := range map[table.Role]string{
		table.RoleN: "N", table.RoleD: "D", table.RoleBatch: "batch_tokens", table.RoleLR: "lr", table.RoleLoss: "val_loss", table.RoleFLOPs: "FLOPs",
	} {
		t.Roles[role] = table.RoleSource{Column: name, Given: true}
	}
	return t
}
