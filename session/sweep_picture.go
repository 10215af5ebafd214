package session

import (
	"cmp"
	"slices"

	"github.com/etastar/etastar/session/picture"
)

// StudyLines are the pictures of the sweep's study; without panels where there is none yet.
func (s Sweep) StudyLines() *picture.Lines {
	out := &picture.Lines{}
	if s.Study == nil {
		return out
	}
	for _, p := range s.Study.Plots() {
		panel := picture.LinesPanel{Title: cmp.Or(p.Short, p.Name), XName: p.XName, Log: p.Log}
		for _, l := range p.Lines {
			name := l.Name
			if l.Note != "" {
				name += ", " + l.Note
			}
			panel.Lines = append(panel.Lines, picture.Line{Name: name, X: l.X, Y: l.Y})
		}
		out.Panels = append(out.Panels, panel)
	}
	return out
}

// lines is what a plot of the sweep draws: its study's pictures, else the losses.
func (s Sweep) lines() *picture.Lines {
	if out := s.StudyLines(); len(out.Panels) > 0 {
		return out
	}
	return s.LossLines()
}

// LossLines are the training losses of a sweep over its tokens: a panel a shape and
// horizon, a line a learning rate, of one colour in all panels. A line is as smooth as
// its log.
func (s Sweep) LossLines() *picture.Lines {
	type lineKey struct {
		name string
		lr   float64 // 0 for lines that something else tells apart
	}
	groups := s.Groups()
	key := func(r *SweepRun) lineKey {
		if r.Line != "" {
			return lineKey{r.Line, 0}
		}
		return lineKey{"η " + r.LineName(), r.LR()}
	}
	var keys []lineKey
	for _, g := range groups {
		for _, i := range g.Runs {
			if k := key(&s.Runs[i]); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.SortStableFunc(keys, func(a, b lineKey) int { return cmp.Compare(a.lr, b.lr) })
	out := &picture.Lines{}
	for _, g := range groups {
		p := picture.LinesPanel{
			Title: g.Name, XName: s.Runs[g.Runs[0]].Unit(), YName: "loss", Long: true, Lines: make([]picture.Line, len(keys)),
		}
		for i, k := range keys {
			p.Lines[i].Name = k.name
		}
		trained := false
		for _, i := range g.Runs {
			r := &s.Runs[i]
			n := min(len(r.Tokens), len(r.Losses)) // a log that is being written
			l := &p.Lines[slices.Index(keys, key(r))]
			if len(l.X) > 0 && n == 0 {
				continue
			}
			l.X, l.Y = r.Tokens[:n], r.Losses[:n]
			trained = trained || n > 0
		}
		if trained {
			out.Panels = append(out.Panels, p)
		}
	}
	return out
}
