package session

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
	"github.com/etastar/etastar/trainer/schedule"
)

const (
	contestRuns = "context=16 batch=64 head_dim=8 lr=1e-3..1e-1 x5 "
	wide        = contestRuns + "d_model=[16,32] layers=1 tokens=6k target=(shape d_model=64 layers=1 head_dim=8)"
)

// exact is a world in which η* follows a power law under the standard parametrization and
// stands off the base's under a rule: by a fifth.
func exact(r config.Run) (float64, bool) {
	n, d := float64(r.Shape.Params().ActiveWithoutVoc), float64(r.TrainedTokens())
	star := func(n, d float64) float64 { return 0.15 * math.Pow(n, -0.3) * math.Pow(d/6e3, -0.2) }
	best := math.Log(star(n, d))
	if r.Scaling != nil {
		b := r.Scaling.Base
		steps := math.Ceil(float64(b.Tokens) / float64(b.Batch))
		best = math.Log(1.2 * star(float64(b.Shape.Params().ActiveWithoutVoc), steps*float64(b.Batch)))
	}
	x := math.Log(r.LR) - best
	return 3*math.Pow(n, -0.02)*math.Pow(d, -0.01) + 0.05*x*x, true
}

// TestContest: on exact curves both predictions, their errors and regrets are those of the
// closed forms, for width, depth, experts and horizon.
func TestContest(t *testing.T) {
	for name, text := range map[string]string{
		"width":       wide,
		"depth":       contestRuns + "d_model=16 layers=[1,2,3] tokens=6k target=(shape d_model=16 layers=8 head_dim=8)",
		"experts":     contestRuns + "d_model=[16,32] layers=1 experts=4 top_k=1 tokens=6k target=(shape d_model=64 layers=1 head_dim=8 experts=8 top_k=2)",
		"horizon":     contestRuns + "d_model=16 layers=1 tokens=[3k,6k,12k] target=(shape d_model=16 layers=1 head_dim=8 tokens=48k)",
		"two by two":  contestRuns + "d_model=[16,32] layers=1 tokens=[3k,6k] target=(shape d_model=64 layers=1 head_dim=8 tokens=12k)",
		"three seeds": wide + " seeds=3",
	} {
		t.Run(name, func(t *testing.T) {
			s := openSweep(t, t.TempDir(), "x = paradigms "+text)
			if c := cell(t, s, "x"); c.Err != nil {
				t.Fatal(c.Err)
			}
			k, err := s.statement(cell(t, s, "x").Line).boundCall(t, s).contest()
			if err != nil {
				t.Fatal(err)
			}
			none := func(config.Run) (float64, bool) { return 0, false }
			if p, err := k.settle(none); p != nil || err != nil || len(k.fitting) > 0 {
				t.Fatalf("without losses: %v, %v", p, err)
			}
			proxies := len(k.runs())
			p, err := k.settle(exact)
			if err != nil {
				t.Fatal(err)
			}
			seeds := len(seedsOf(k.base))
			if len(k.runs()) != proxies+10*seeds {
				t.Errorf("%d runs, %d of them proxies", len(k.runs()), proxies)
			}
			fit, carried := p.Rows[0], p.Rows[1]
			for _, r := range p.Rows {
				if r.Err != nil || r.Over != 5*seeds || r.Bound != "" {
					t.Fatalf("%+v", r)
				}
			}
			if math.Abs(fit.Error) > 1e-3 || math.Abs(fit.Regret) > 1e-6 {
				t.Errorf("Fitting is off by %v, regret %v", fit.Error, fit.Regret)
			}
			want := 0.05 * math.Pow(math.Log(1.2), 2) / carried.Lowest
			if math.Abs(carried.Error+math.Log(1.2)) > 1e-3 || math.Abs(carried.Regret-want) > 1e-5 || math.Abs(carried.Beyond-want) > 1e-5 {
				t.Errorf("Transfer is off by %v, want %v; regret %v, want %v", carried.Error, -math.Log(1.2), carried.Regret, want)
			}
			sheet := p.Sheets()[0]
			if last := sheet.Rows[1][len(sheet.Heads)-1].Text; !carried.Outside() || last != "η* outside the interval" || !strings.Contains(p.Summary(), "−17% off and outside its interval") {
				t.Errorf("a base known to the last digit is 20%% off, and the table remarks %q: %s", last, p.Summary())
			}
			if carried.Runs != 5*seeds || fit.Runs < 10*seeds || !(fit.FLOPs > carried.FLOPs) {
				t.Errorf("Fitting took %d runs and %g FLOPs, Transfer %d and %g", fit.Runs, fit.FLOPs, carried.Runs, carried.FLOPs)
			}
			if (seeds > 1) != (carried.Noise >= 0) {
				t.Errorf("noise %v with %d seeds", carried.Noise, seeds)
			}
			trunks := trunksOf(k.proxies)
			for _, r := range slices.Concat(k.fitting, k.carried, k.base, k.proxies) {
				if r.Schedule.Kind != schedule.WSD && !trunks[r.Name()] {
					t.Errorf("%s is trained without the decay: %+v", r.Name(), r.Schedule)
				}
			}
			for _, r := range k.fitting {
				if r.Scaling != nil || r.Shape.DModel != k.target.Shape.DModel {
					t.Errorf("Fitting's target: %+v", r)
				}
			}
			for field, want := range map[string]float64{"transfer.error": carried.Error, "fitting.flops": fit.FLOPs, "runs": 0} {
				if x, err := Field(Sweep{Study: p}, field); err != nil || x != want {
					t.Errorf("%s is %v, %v", field, x, err)
				}
			}
			if !strings.Contains(p.Summary(), "Fitting predicts η") || !strings.Contains(p.Summary(), "regret") {
				t.Error(p.Summary())
			}
		})
	}
}

func (n *node) boundCall(t *testing.T, s *Session) *Call {
	t.Helper()
	c := n.call(s.dir())
	c.inputs = map[string][]Value{}
	target := n.bound.args["target"]
	x := evaluated(t, s.dir(), "y = "+strings.Trim(target.Text, "()"))
	if x.Err != nil {
		t.Fatal(x.Err)
	}
	c.inputs["target"] = []Value{x.Value}
	return c
}

// TestContestMeasured: from the table of its runs a contest says what it said of them, though
// the corpus is gone; what the table lacks is named.
func TestContestMeasured(t *testing.T) {
	for name, text := range map[string]string{
		"width":   wide + " seeds=2",
		"horizon": contestRuns + "d_model=16 layers=1 tokens=[3k,6k,12k] target=(shape d_model=16 layers=1 head_dim=8 tokens=48k)",
		"experts": contestRuns + "d_model=[16,32] layers=1 experts=4 top_k=1 tokens=6k target=(shape d_model=64 layers=1 head_dim=8 experts=8 top_k=2)",
	} {
		t.Run(name, func(t *testing.T) {
			s := openSweep(t, t.TempDir(), "x = paradigms "+text)
			k, err := s.statement(cell(t, s, "x").Line).boundCall(t, s).contest()
			if err != nil {
				t.Fatal(err)
			}
			world := func(r config.Run) (float64, bool) {
				if r.LR == 0.1 {
					return math.Inf(1), true
				}
				return exact(r)
			}
			want, err := k.settle(world)
			if err != nil {
				t.Fatal(err)
			}
			var runs []SweepRun
			for _, r := range k.runs() {
				l, _ := world(r)
				run := SweepRun{Config: r}
				run.Status.State, run.Status.Val, run.Status.ValSE = rundir.Finished, rundir.Number(l), 0.01
				if math.IsInf(l, 0) {
					run.Status.State = rundir.Diverged
				}
				runs = append(runs, run)
			}
			dir := t.TempDir()
			write := func(rows int) {
				t.Helper()
				tb := sweepTable(runs)
				var b strings.Builder
				for i, c := range tb.Columns {
					fmt.Fprint(&b, strings.Repeat(",", min(i, 1)), c.Name)
				}
				for i := range min(rows, tb.Rows) {
					for j, c := range tb.Columns {
						fmt.Fprint(&b, strings.Repeat(",", min(j, 1)), strings.Repeat("\n", 1-min(j, 1)), c.String(i))
					}
				}
				if err := os.WriteFile(filepath.Join(dir, "runs.csv"), []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			replayed := func() Cell {
				return evaluated(t, dir, `all = load "runs.csv"`, "x = paradigms "+text+` measured=all data="gone.txt"`)
			}
			write(len(runs))
			c := replayed()
			if c.Err != nil {
				t.Fatal(c.Err)
			}
			v := c.Value.(Sweep)
			got := v.Study.(*Paradigms)
			if svg, err := (Picture{Of: v}).Draw("svg", false); err != nil || !bytes.Contains(svg, []byte("Transfer, said "+number.Eta(got.Rows[1].LR, 3))) {
				t.Errorf("the contest drawn: %v, %d bytes", err, len(svg))
			}
			for i, r := range want.Rows {
				g := got.Rows[i]
				if math.Abs(g.LR/r.LR-1) > 1e-3 || math.Abs(g.Error-r.Error) > 1e-3 || math.Abs(g.Regret-r.Regret) > 1e-5 || g.Runs != r.Runs || g.FLOPs != r.FLOPs || g.Over != r.Over {
					t.Errorf("%+v, want %+v", g, r)
				}
			}
			if !v.Watched || v.Finished() != len(v.Runs) {
				t.Errorf("%d of %d over, watched %v", v.Finished(), len(v.Runs), v.Watched)
			}
			write(3)
			if c := replayed(); c.Err == nil || !strings.Contains(c.Err.Error(), "the table lacks") || !strings.Contains(c.Err.Error(), " at η ") {
				t.Errorf("of three rows it says %v", c.Err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "runs.csv"), []byte("N,D,lr,loss\n1e6,1e6,1e-3,3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := evaluated(t, dir, `all = load "runs.csv"`, "x = paradigms "+wide+" measured=all"); c.Err == nil || !strings.Contains(c.Err.Error(), "no column d_model") {
		t.Errorf("of another table it says %v", c.Err)
	}
}

// TestContestRemarks: a measured optimum beside the interval is remarked on, and one that the
// target's η hardly reach past.
func TestContestRemarks(t *testing.T) {
	for _, x := range []struct {
		best, low, high float64
		edge            bool
		want            string
	}{
		{2e-3, 1e-3, 3e-3, false, ""},
		{2e-3, 2.1e-3, 3e-3, false, "η* outside the interval"},
		{2e-3, 1e-3, 1.9e-3, true, "η* outside the interval; minimum one from the edge"},
		{2e-3, math.NaN(), math.NaN(), false, ""},
		{math.NaN(), 1e-3, 3e-3, false, ""},
	} {
		r := ParadigmRow{Best: x.best, Low: x.low, High: x.high, NearEdge: x.edge}
		if got := r.remark(); got != x.want {
			t.Errorf("%+v says %q", x, got)
		}
	}
}

// TestContestTrains: the two stages one after the other, to the table.
func TestContestTrains(t *testing.T) {
	s := trained(t, "x = paradigms "+strings.Replace(wide, "tokens=6k", "tokens=12k", 1)+" around=1 validate=2048")
	c := cell(t, s, "x")
	v := c.Value.(Sweep)
	p, ok := v.Study.(*Paradigms)
	if c.Err != nil || !ok || v.Finished() != len(v.Runs) {
		t.Fatalf("%v, %d of %d over, %v", c.Err, v.Finished(), len(v.Runs), c.Notes)
	}
	parts := map[string]int{}
	for _, r := range v.Runs {
		parts[r.Part]++
	}
	want := 10
	for _, r := range p.Rows {
		switch {
		case r.Err == nil && (r.Over != 3 || !(r.Loss > 1) || r.Bound == "" && !(r.Best > 0)):
			t.Errorf("%+v", r)
		case r.Err == nil:
			want += 3
		}
	}
	if len(v.Runs) != want || parts[partProxies] != 10 {
		t.Errorf("%d runs, want %d: %v", len(v.Runs), want, parts)
	}
	for _, sheet := range p.Sheets() {
		for _, row := range sheet.Rows {
			if len(row) != len(sheet.Heads) {
				t.Errorf("%s: %d entries under %d heads", sheet.Name, len(row), len(sheet.Heads))
			}
		}
	}
}

func TestContestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		strings.Replace(wide, "1e-3..1e-1 x5", "[1e-2,2e-2]", 1):                               "a parabola needs three",
		strings.Replace(wide, "head_dim=8)", "head_dim=8 experts=4 top_k=1)", 1):               "one of proxies and target is dense",
		strings.Replace(wide, "shape d_model=64", "shape d_model=8", 1):                        "the target's width is 0.5×",
		strings.Replace(wide, "layers=1 head_dim=8)", "layers=4 head_dim=8)", 1) + " rule=mup": "depth differs 4×",
		wide + ` rule="none.toml"`:                "there is no such file",
		contestRuns + "d_model=[16,32] tokens=6k": "needs",
	} {
		if c := evaluated(t, t.TempDir(), "x = paradigms "+text); c.Err == nil || !strings.Contains(c.Err.Error(), want) {
			t.Errorf("%s\n\tsays %v, want %q", text, c.Err, want)
		}
	}
	// One size at one horizon: Fitting says that it cannot, Transfer goes on.
	s := openSweep(t, t.TempDir(), "x = paradigms "+strings.Replace(wide, "[16,32]", "16", 1))
	k, err := s.statement(cell(t, s, "x").Line).boundCall(t, s).contest()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := k.settle(exact); err != nil || p.Rows[0].Err == nil || p.Rows[1].Err != nil || !math.IsNaN(p.Rows[0].Regret) || len(k.fitting) > 0 {
		t.Errorf("%v, %+v", err, p)
	}
}
