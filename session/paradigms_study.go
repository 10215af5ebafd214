package session

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/etastar/etastar/fitting"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/config"
)

// Paradigms is the study of paradigms.
type Paradigms struct {
	Rows []ParadigmRow
	rule string
}

// ParadigmRow is Fitting or Transfer. Learning rates of Transfer are the base's η: the
// rule scales them module by module.
type ParadigmRow struct {
	Name, How     string
	LR, Low, High float64 // predicted, with 95% of what the prediction was fitted to
	Err           error   // why there is no prediction
	Best          float64 // η* measured in the same parametrization; NaN: not yet, or only bounded
	Bound         string  // where it is only bounded
	Error         float64 // ln of predicted over measured
	ErrorSE       float64 // what the fit of the measured optimum adds to it; NaN where it has no room
	NearEdge      bool    // the lowest of the target's losses is one η from the edge
	Loss          float64 // at the prediction
	Noise         float64 // its standard error, from seeds; NaN with one
	Lowest        float64 // at the measured optimum
	Regret        float64 // the fitted curve at the prediction over its lowest, less 1
	Beyond        float64 // Loss over the lowest of both parametrizations, less 1
	Runs          int     // trained to predict
	FLOPs         float64
	Over, Planned int // runs of the target
	line          PlotLine
}

func newRow(name string, p prediction) ParadigmRow {
	nan := math.NaN()
	return ParadigmRow{
		Name: name, How: p.how, LR: p.lr, Low: p.low, High: p.high, Err: p.err,
		Best: nan, Error: nan, ErrorSE: nan, Loss: nan, Noise: nan, Lowest: nan, Regret: nan, Beyond: nan,
	}
}

// measure reads the target's runs.
func (r *ParadigmRow) measure(family []config.Run, loss losses) {
	r.Planned = len(family)
	for _, x := range family {
		if _, over := loss(x); over {
			r.Over++
		}
	}
	if r.Over < r.Planned {
		return
	}
	runs := fittingRuns(family, loss)
	slices.SortFunc(runs, func(a, b fitting.Run) int { return cmp.Compare(a.LR, b.LR) })
	r.line.Name, r.line.Note = r.Name, "said "+number.Eta(r.LR, 3)
	for _, x := range runs {
		r.line.X, r.line.Y = append(r.line.X, x.LR), append(r.line.Y, x.Loss)
		if x.LR == roundTo(r.LR, 4) {
			r.Loss = x.Loss
		}
	}
	r.Noise = seedNoise(family, loss)
	cs, err := fitting.Curves(runs, fitting.CurveOptions{Window: paradigmWindow})
	if err != nil {
		r.Bound = err.Error()
		return
	}
	u := &cs.Curves[0]
	switch {
	case u.OK:
		r.Best, r.Lowest = math.Exp(u.LnLR), u.Loss
		r.Error, r.ErrorSE, r.NearEdge = math.Log(r.LR/r.Best), u.LnLRSE, u.Has(fitting.FlagNearEdge)
		r.Regret = u.At(math.Log(r.LR))/u.Loss - 1
	case u.Bound == fitting.BoundBelow:
		r.Bound = "below " + number.Eta(u.BoundLR, 3)
	case u.Bound == fitting.BoundAbove:
		r.Bound = "above " + number.Eta(u.BoundLR, 3)
	default:
		r.Bound = "no parabola"
	}
	if !u.OK {
		for _, x := range runs {
			if !math.IsInf(x.Loss, 0) && !(x.Loss >= r.Lowest) {
				r.Lowest = x.Loss
			}
		}
		r.Regret = r.Loss/r.Lowest - 1
	}
}

// Outside says that the interval of the prediction does not hold the measured optimum.
func (r *ParadigmRow) Outside() bool { return r.Best < r.Low || r.Best > r.High }

// remark is why a row says less than it seems to, or nothing.
func (r *ParadigmRow) remark() string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.Over < r.Planned:
		return fmt.Sprintf("%d of %d runs of the target are over", r.Over, r.Planned)
	case r.Bound != "":
		return r.Bound
	}
	var out []string
	if r.Outside() {
		out = append(out, "η* outside the interval")
	}
	if r.NearEdge {
		out = append(out, string(fitting.FlagNearEdge))
	}
	return strings.Join(out, "; ")
}

// seedNoise is the standard error of a mean over the seeds, pooled over the learning rates;
// NaN with one seed.
func seedNoise(family []config.Run, loss losses) float64 {
	by := map[float64][]float64{}
	for _, r := range family {
		if l, _ := loss(r); !math.IsInf(l, 0) {
			by[r.LR] = append(by[r.LR], l)
		}
	}
	var groups [][]float64
	n := 0
	for _, lr := range slices.Sorted(maps.Keys(by)) {
		groups, n = append(groups, by[lr]), max(n, len(by[lr]))
	}
	return fitting.StandardError(groups, n)
}

// compare sets each loss against the lowest of both.
func (p *Paradigms) compare() {
	lowest := math.Inf(1)
	for _, r := range p.Rows {
		if r.Err == nil && r.Lowest < lowest {
			lowest = r.Lowest
		}
	}
	for i := range p.Rows {
		p.Rows[i].Beyond = p.Rows[i].Loss/lowest - 1
	}
}

// Summary implements [Study].
func (p *Paradigms) Summary() string {
	var parts []string
	for _, r := range p.Rows {
		switch {
		case r.Err != nil:
			parts = append(parts, fmt.Sprintf("%s predicts nothing: %v", r.Name, r.Err))
		case r.Over < r.Planned:
			parts = append(parts, fmt.Sprintf("%s predicts η %s, %d of %d runs of the target are over", r.Name, number.Eta(r.LR, 3), r.Over, r.Planned))
		case r.Bound != "":
			parts = append(parts, fmt.Sprintf("%s predicts η %s, the measured optimum is only bounded: %s", r.Name, number.Eta(r.LR, 3), r.Bound))
		default:
			off := number.SignedPercent(math.Exp(r.Error)-1) + " off"
			if r.Outside() {
				off += " and outside its interval"
			}
			parts = append(parts, fmt.Sprintf("%s predicts η %s, %s, regret %s, for %s FLOPs", r.Name, number.Eta(r.LR, 3),
				off, number.SignedPercent(r.Regret), number.Sig(r.FLOPs, 2)))
		}
	}
	return strings.Join(parts, "; ")
}

// Sheets implements [Study].
func (p *Paradigms) Sheets() []Sheet {
	t := Sheet{Name: "contest", Heads: []string{"paradigm", "predicted η", "low", "high", "measured η*", "Δ ln η", "loss there", "±", "regret", "to the best of both", "runs", "FLOPs", "remark"}}
	num := func(x float64, write func(float64) string) Entry {
		if math.IsNaN(x) || x == 0 {
			return textEntry("")
		}
		return Entry{write(x), x}
	}
	eta := func(x float64) Entry { return num(x, func(x float64) string { return number.Eta(x, 3) }) }
	share := func(x float64) Entry {
		if math.IsNaN(x) {
			return textEntry("")
		}
		return Entry{number.SignedPercent(x), x}
	}
	about := []string{}
	for _, r := range p.Rows {
		off := num(r.Error, func(x float64) string { return number.Signed(x, 3) })
		if !math.IsNaN(r.ErrorSE) && off.Text != "" {
			off.Text += " ± " + number.Sig(r.ErrorSE, 2)
		}
		t.Rows = append(t.Rows, []Entry{
			textEntry(r.Name), eta(r.LR), eta(r.Low), eta(r.High), eta(r.Best), off, num(r.Loss, number.Loss), num(r.Noise, func(x float64) string { return number.Sig(x, 2) }),
			share(r.Regret), share(r.Beyond),
			{number.Count(r.Runs), float64(r.Runs)},
			{number.Sig(r.FLOPs, 3), r.FLOPs},
			textEntry(r.remark()),
		})
		about = append(about, r.Name, r.How)
	}
	about = append(about,
		"η of Transfer", "is the base's, which "+p.rule+" scales module by module at the target; its measured η* is in the same terms",
		"low, high", "95%: Fitting's of the law at the target. Transfer's of the base's optimum alone: how far the rule itself errs is not in it",
		"measured η*", "of the parabola through up to two η on either side of the target's lowest",
		"Δ ln η", "ln of predicted over measured, ± the standard error of the measured one's parabola",
		"regret", "of that parabola: at the prediction over its lowest, in the same parametrization",
		"to the best of both", "the measured loss over the lower of the two lowest",
		"±", "standard error of the loss over the seeds, with what a seed does alike at every η; with one seed differences of a percent may be noise",
		"runs, FLOPs", "trained to predict, with the output head, not the target's own; a run that both need counts for both")
	return []Sheet{t, aboutSheet(about...)}
}

// Fields implements [Study].
func (p *Paradigms) Fields() (out []NamedNumber) {
	for _, r := range p.Rows {
		name := strings.ToLower(r.Name)
		out = append(out, NamedNumber{name + ".lr", r.LR}, NamedNumber{name + ".best", r.Best}, NamedNumber{name + ".error", r.Error},
			NamedNumber{name + ".regret", r.Regret}, NamedNumber{name + ".flops", r.FLOPs}, NamedNumber{name + ".runs", float64(r.Runs)})
	}
	return out
}

// Plots implements [Study]: the target's losses over η.
func (p *Paradigms) Plots() []Plot {
	out := Plot{Name: "loss of the target over η (of Transfer, the base's η)", XName: "η"}
	for _, r := range p.Rows {
		if len(r.line.X) > 0 {
			out.Lines = append(out.Lines, r.line)
		}
	}
	if out.Lines == nil {
		return nil
	}
	return []Plot{out}
}
