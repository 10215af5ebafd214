package example

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etastar/etastar/kernels/cpu"
	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer"
	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// opened is an example as a newcomer sees it.
func opened(t *testing.T, name string) map[string]session.Value {
	t.Helper()
	path, err := Install(filepath.Join(t.TempDir(), "example"), name)
	if err != nil {
		t.Fatal(err)
	}
	return openedAt(t, path)
}

// openedAt are the values of a notebook, every expectation of which is met.
func openedAt(t *testing.T, path string) map[string]session.Value {
	t.Helper()
	name := filepath.Base(path)
	s, err := session.Open(path, session.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if !s.Wait(time.Minute) {
		t.Fatal("still computing")
	}
	values := map[string]session.Value{}
	for i, c := range s.Cells() {
		if c.Err != nil {
			t.Errorf("%s, line %d: %v", name, c.Line+1, c.Err)
		}
		key := c.Name
		if key == "" {
			key = fmt.Sprint(i)
		}
		values[key] = c.Value
		if e, ok := c.Value.(session.Expectation); ok && !e.Met {
			t.Errorf("%s, line %d: %s", name, c.Line+1, e.Said)
		}
	}
	return values
}

// run identifies a run by what was asked for.
type run struct{ n, d, batch, lr float64 }

func runs(t *testing.T, tb *table.Table) map[run]float64 {
	t.Helper()
	out := map[run]float64{}
	column := map[string][]float64{}
	for _, c := range tb.Columns {
		column[c.Name] = c.Numbers
	}
	for i := range tb.Rows {
		out[run{column["N"][i], column["D"][i], column["batch_tokens"][i], column["lr"][i]}] = column["val_loss"][i]
	}
	return out
}

// TestMeasuredIsTheSweep: the data of the second example are those of the first one's
// sweeps, run for run.
func TestMeasuredIsTheSweep(t *testing.T) {
	first, second := opened(t, First), opened(t, "measured")
	all := runs(t, second["all"].(session.Table).Table)
	if len(all) != 35 {
		t.Errorf("%d runs, the notebook says 35", len(all))
	}
	for _, name := range []string{"proxies", "check"} {
		for r := range runs(t, first[name].(session.Sweep).Table) {
			loss, ok := all[r]
			if !ok || !(loss > 1 && loss < math.Log(256)) {
				t.Errorf("%s: %+v has loss %g", name, r, loss)
			}
			delete(all, r)
		}
	}
	for r := range all {
		t.Errorf("%+v was not asked for", r)
	}
	p := first["target"].(session.Prediction)
	if q := second["target"].(session.Prediction); p.LR != q.LR || p.Low != q.Low || !(p.Low < p.LR && p.LR < p.High) {
		t.Errorf("the examples predict %g and %g", p.LR, q.LR)
	}
}

// TestGPU: the notebook on the GPU's sweep says what its data say: how many runs, what was
// predicted and what was measured.
func TestGPU(t *testing.T) {
	v := opened(t, "gpu")
	if n := len(runs(t, v["all"].(session.Table).Table)); n != 84+6 {
		t.Errorf("%d runs, the notebook says 84 and 6", n)
	}
	p := v["target"].(session.Prediction)
	for name, near := range map[string][2]float64{"η*": {p.LR, 4.5e-4}, "low": {p.Low, 3.2e-4}, "high": {p.High, 6e-4}} {
		if math.Abs(near[0]/near[1]-1) > 0.02 {
			t.Errorf("%s is %g, the notebook says %g", name, near[0], near[1])
		}
	}
}

// TestWidth: the notebook on widths says what its data say of the two exponents.
func TestWidth(t *testing.T) {
	v := opened(t, "width")
	if n := v["all"].(session.Table).Rows; n != 210 {
		t.Errorf("%d runs, the notebook says 210", n)
	}
	for name, want := range map[string][3]float64{"moves": {-0.34, -0.51, -0.17}, "stays": {-0.06, -0.24, 0.12}} {
		for _, c := range v[name].(session.Law).Coef {
			if c.Name == "N" && (math.Abs(c.Value-want[0]) > 0.006 || math.Abs(c.Lo-want[1]) > 0.006 || math.Abs(c.Hi-want[2]) > 0.006) {
				t.Errorf("%s: %+v, the notebook says %v", name, c, want)
			}
		}
	}
}

// TestMeasured trains the smallest size again. Rounding differs between processors and
// grows over a training run, the more the higher the learning rate.
func TestMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for seconds")
	}
	first := opened(t, First)
	all := runs(t, opened(t, "measured")["all"].(session.Table).Table)
	var asked []config.Run
	for _, r := range first["proxies"].(session.Sweep).Runs {
		if r.Config.Shape.DModel == 32 {
			asked = append(asked, r.Config)
		}
	}
	dir := t.TempDir()
	if _, err := trainer.Ask(dir, "sweep", asked); err != nil {
		t.Fatal(err)
	}
	backend, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := (&trainer.Worker{Backend: backend}).Train(ctx, dir); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, r := range rundir.List(dir) {
		c := r.Config
		if c.Origin == nil {
			continue
		}
		compared++
		want := all[run{float64(c.Shape.Params().WithoutVocabulary), float64(c.TrainedTokens()), float64(c.BatchTokens()), c.LR}]
		near := 0.05
		if c.LR > 1e-2 {
			near = 0.3
		}
		if got := float64(r.Status.Val); r.Status.State != rundir.Finished || math.Abs(got-want) > near {
			t.Errorf("%s: %s, loss %.4f, measured.csv has %.4f", r.Name, r.Status.State, got, want)
		}
	}
	if compared != 10 {
		t.Errorf("%d runs compared", compared)
	}
}

// TestInstallKeepsWork: what a person changed in an example is not overwritten.
func TestInstallKeepsWork(t *testing.T) {
	dir := t.TempDir()
	path, err := Install(dir, First)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(dir, "measured"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Errorf("overwritten: %q", b)
	}
	if _, err := Install(dir, "none"); err == nil {
		t.Error("there is an example none")
	}
}

// markdownTable is the rows of the table whose head starts with first.
func markdownTable(t *testing.T, text, first string) (rows [][]string) {
	t.Helper()
	_, after, ok := strings.Cut(text, "| "+first)
	if !ok {
		t.Fatalf("the notebook has no table %q", first)
	}
	for _, l := range strings.Split(after, "\n")[2:] {
		if !strings.HasPrefix(l, "|") {
			break
		}
		cells := strings.Split(strings.Trim(l, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// near fails unless the text is the number as far as it is written.
func near(t *testing.T, what, text string, x float64) {
	t.Helper()
	scale := 1.0
	if s, ok := strings.CutSuffix(text, "%"); ok {
		text, scale = s, 100
	}
	said, err := strconv.ParseFloat(text, 64)
	mantissa, exponent, _ := strings.Cut(text, "e")
	_, decimals, _ := strings.Cut(mantissa, ".")
	power, _ := strconv.Atoi(exponent)
	if err != nil || !(math.Abs(said-scale*x) <= 0.51*math.Pow(10, float64(power-len(decimals)))) {
		t.Errorf("%s is %g, the notebook says %s", what, scale*x, text)
	}
}

// trainedRun is a run of a contest's proxies.
type trainedRun struct {
	contest          string
	tokens, lr, seed float64
}

// TestParadigms: the notebook says of both paradigms what its data say: the predictions with
// their intervals, what was measured, what it cost, and the lowest losses seed by seed.
func TestParadigms(t *testing.T) {
	v := opened(t, "paradigms")
	text, err := files.ReadFile("paradigms.md")
	if err != nil {
		t.Fatal(err)
	}
	contests := map[string]*session.Paradigms{}
	runs := map[[2]string]session.SweepRun{}
	lowest := map[string]map[string][]float64{} // of a contest, by rule, a loss a seed
	flops := map[string]float64{}               // of a contest's proxies
	shared := map[trainedRun]float64{}          // tokens that a run takes from a stable one
	for _, name := range []string{"width", "depth", "mup", "moe", "horizon"} {
		s, _ := v[name].(session.Sweep)
		p, ok := s.Study.(*session.Paradigms)
		if !ok || s.Finished() != len(s.Runs) {
			t.Fatalf("%s: %v", name, v[name])
		}
		contests[name], lowest[name] = p, map[string][]float64{}
		for _, r := range s.Runs {
			runs[[2]string{r.Config.Rule, r.Config.Hash()}] = r
			if o := r.Config.Origin; o != nil {
				shared[trainedRun{name, float64(r.Config.TrainedTokens()), r.Config.LR, float64(r.Config.Seed)}] = float64(o.Step * r.Config.BatchTokens())
			}
			if r.Part == "target, Fitting" || r.Part == "target, Transfer" {
				of := lowest[name]
				for uint64(len(of[r.Config.Rule])) <= r.Config.Seed {
					of[r.Config.Rule] = append(of[r.Config.Rule], math.Inf(1))
				}
				of[r.Config.Rule][r.Config.Seed] = min(of[r.Config.Rule][r.Config.Seed], float64(r.Status.Val))
			}
		}
	}
	all := v["all"].(session.Table).Table
	if len(runs) != 314 || all.Rows != 314 {
		t.Errorf("%d runs and %d rows, the notebook says 314", len(runs), all.Rows)
	}
	for i := range all.Rows {
		if strings.HasPrefix(all.Column("part").String(i), "target") {
			continue
		}
		at := func(name string) float64 { return all.Column(name).Value(i) }
		contest := all.Column("contest").String(i)
		token := at("FLOPs_per_token") + 6*256*at("d_model") // the head, which the column leaves out
		before := shared[trainedRun{contest, at("D"), at("lr"), at("seed")}]
		flops[contest] += token * (at("D") - before)
		if at("D") == 8011776 { // the longest horizon, to whose decay the stable run goes
			flops[contest] += token * before
		}
	}
	said := markdownTable(t, string(text), "target  | by       |")
	if len(said) != 9 {
		t.Errorf("%d rows of predictions", len(said))
	}
	for _, row := range said {
		p := contests[row[0]]
		r := p.Rows[0]
		if row[1] == "Transfer" {
			r = p.Rows[1]
		} else if x := flops[row[0]]; math.Abs(r.FLOPs/x-1) > 1e-9 {
			t.Errorf("%s: Fitting took %g FLOPs, its runs in the table %g", row[0], r.FLOPs, x)
		}
		if r.Err != nil || r.Over != 10 || r.Planned != 10 || r.Bound != "" || r.Name != row[1] {
			t.Fatalf("%v: %+v", row, r)
		}
		low, high, _ := strings.Cut(row[3], "–")
		for i, x := range []float64{r.LR, r.Low, r.High, r.Best, r.Regret, r.FLOPs} {
			near(t, strings.Join(row[:2], ", "), []string{row[2], low, high, row[4], row[5], row[6]}[i], x)
		}
		deep := row[0] == "depth" || row[0] == "mup"
		if r.Outside() != (row[1] == "Transfer" && deep) || r.NearEdge != (deep || row[1] == "Transfer" && row[0] == "horizon") {
			t.Errorf("%v: outside %v, near the edge %v", row, r.Outside(), r.NearEdge)
		}
	}
	said = markdownTable(t, string(text), "target  | standard     |")
	if len(said) != 5 {
		t.Errorf("%d rows of lowest losses", len(said))
	}
	for _, row := range said {
		name := row[0]
		if row[3] == "mup" {
			name = "mup"
		}
		for i, rule := range []string{config.SP, row[3]} {
			for seed, l := range strings.Split(row[1+i], ", ") {
				near(t, fmt.Sprintf("%s, %s, seed %d", name, rule, seed), l, lowest[name][rule][seed])
			}
		}
	}
}

// TestParadigmsHorizon: what the notebook says of the horizon beside the contest's table: the
// losses of both targets at nearly the same η trained, and the laws and optima seed by seed.
func TestParadigmsHorizon(t *testing.T) {
	v := opened(t, "paradigms")
	text, err := files.ReadFile("paradigms.md")
	if err != nil {
		t.Fatal(err)
	}
	lost := map[string]map[float64][]float64{} // losses of a target by the η tried, a seed each
	for _, r := range v["horizon"].(session.Sweep).Runs {
		if lost[r.Part] == nil {
			lost[r.Part] = map[float64][]float64{}
		}
		lost[r.Part][r.Config.LR] = append(lost[r.Part][r.Config.LR], float64(r.Status.Val))
	}
	said := markdownTable(t, string(text), "η trained, standard")
	if len(said) != 4 {
		t.Errorf("%d rows of η trained", len(said))
	}
	for _, row := range said {
		for i, of := range []struct {
			part   string
			factor float64
		}{{"target, Fitting", 1}, {"target, Transfer", math.Sqrt(8011776. / 32014336)}} {
			eta, _ := strconv.ParseFloat(row[2*i], 64)
			found := 0
			for lr, losses := range lost[of.part] {
				if math.Abs(lr*of.factor/eta-1) < 0.005 {
					found++
					for seed, l := range strings.Split(row[2*i+1], ", ") {
						near(t, fmt.Sprintf("%s at %s, seed %d", of.part, row[2*i], seed), l, losses[seed])
					}
				}
			}
			if found != 1 {
				t.Errorf("%d η of %s are %s", found, of.part, row[2*i])
			}
		}
	}
	for name, want := range map[string][3]float64{"law0": {0.09, -0.19, 0.36}, "law1": {-0.10, -0.24, 0.05}} {
		for _, c := range v[name].(session.Law).Coef {
			if c.Name == "D" && (math.Abs(c.Value-want[0]) > 0.006 || math.Abs(c.Lo-want[1]) > 0.006 || math.Abs(c.Hi-want[2]) > 0.006) {
				t.Errorf("%s: %+v, the notebook says %v", name, c, want)
			}
		}
	}
	for name, want := range map[string]string{"fitted0": "1.96e-3", "fitted1": "2.01e-3", "ruled0": "1.96e-3", "ruled1": "1.90e-3"} {
		near(t, name, want, math.Exp(v[name].(session.Curves).Curves[0].LnLR))
	}
}

// TestParadigmsOneRun: with the run that stands out in line with its neighbours both would
// have predicted otherwise, by as much as the notebook says.
func TestParadigmsOneRun(t *testing.T) {
	csv, err := files.ReadFile("paradigms.csv")
	if err != nil {
		t.Fatal(err)
	}
	text, err := files.ReadFile("paradigms.md")
	if err != nil {
		t.Fatal(err)
	}
	const odd = ",8011776,16384,0.002,1.135481,"
	if strings.Count(string(csv), odd) != 1 {
		t.Fatal("no such run")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.md")
	_, statement, _ := strings.Cut(string(text), "\nhorizon = ")
	statement, _, _ = strings.Cut(statement, "\n")
	for name, content := range map[string]string{
		"paradigms.csv": strings.Replace(string(csv), odd, ",8011776,16384,0.002,1.330,", 1),
		"x.md":          "```eta\nall = load \"paradigms.csv\"\nhorizon = " + statement + "\n```\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows := openedAt(t, path)["horizon"].(session.Sweep).Study.(*session.Paradigms).Rows
	near(t, "Fitting's η", "1.71e-3", rows[0].LR)
	near(t, "Transfer's η", "1.79e-3", rows[1].LR)
	near(t, "the end of its interval", "2.8e-3", rows[1].High)
}
