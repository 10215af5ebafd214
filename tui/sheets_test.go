package tui

import (
	"math"
	"strings"
	"testing"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/table"
	"github.com/etastar/etastar/trainer/rundir"
)

// checkStudy is a study with a table, words about it and a picture.
type checkStudy struct{}

func (checkStudy) Summary() string { return "flat" }

func (checkStudy) Fields() []session.NamedNumber { return nil }

func (checkStudy) Sheets() []session.Sheet {
	return []session.Sheet{
		{Name: "slopes", Heads: []string{"module", "slope"}, Rows: [][]session.Entry{{{Text: "head", Value: math.NaN()}, {Text: "−0.02", Value: -0.02}}}},
		{Name: session.About, Heads: []string{"", ""}, Rows: [][]session.Entry{
			{{Text: "slope", Value: math.NaN()}, {Text: strings.Repeat("of what is measured ", 12) + "END", Value: math.NaN()}},
			{{Text: "the label of them all", Value: math.NaN()}, {Text: "beside it", Value: math.NaN()}},
		}},
	}
}

func (checkStudy) Plots() []session.Plot {
	return []session.Plot{
		{Name: "first picture", XName: "d_model", Lines: []session.PlotLine{{Name: "step 1", X: []float64{64, 128}, Y: []float64{1, 2}}}},
		{Name: "second picture", Log: true, Lines: []session.PlotLine{{Name: "step 9", X: []float64{6, 7}, Y: []float64{1, 2}}}},
	}
}

// TestStudyAndStatistics walks the views of a sweep with a study and statistics.
func TestStudyAndStatistics(t *testing.T) {
	v := liveSweep()
	v.Study = checkStudy{}
	for i := range v.Runs {
		r := &v.Runs[i]
		r.Spikes = i % 2
		var log []rundir.Event
		for k := range int64(5) {
			log = append(log, rundir.Event{Step: k, Tokens: k * 1e4, Stats: map[string]map[string]rundir.Number{
				"attn_logits": {"max_logit": rundir.Number(4 + k)}, "head": {"grad_rms": 0.1, "act_rms": 2}, "embedding": {"grad_rms": 0.3}, "layer.10": {"act_rms": 1}, "layer.2": {"act_rms": 1},
			}})
		}
		r.Stats = session.NewStatLog(log)
	}
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v}}, 100, 30)
	see := func(key string, want ...string) {
		t.Helper()
		if key != "" {
			m.Update(keyPress(key))
		}
		screen := emulated(m)
		for _, w := range want {
			if !strings.Contains(screen, w) {
				t.Fatalf("after %q no %q on\n%s", key, w, screen)
			}
		}
	}
	see("", "slopes · about · picture · loss · schedule · statistics · runs", "head", "−0.02")
	see("m", "v shows the statistics first")
	see("v", "of what is measured", "END", "the label of them all  beside it")
	see("v", "first picture", "1/2", "step 1")
	see("m", "second picture", "2/2", "step 9")
	see("m", "first picture")
	see("v")
	see("v")
	see("v", "attn_logits", "largest attention logit", "1 spike", "m statistic · M module")
	see("m", "embedding", "RMS of the gradient")
	see("M", "head", "RMS of the gradient")
	see("M", "embedding")
	see("m", "head", "RMS of the output")
	see("M", "layer.2")
	see("M", "layer.10")
	see("m", "attn_logits")
}

// TestMeasuredStudy: losses of a table leave nothing to train and no curves over time to look at.
func TestMeasuredStudy(t *testing.T) {
	v := session.Sweep{Study: checkStudy{}, Watched: true, Runs: []session.SweepRun{{Status: rundir.Status{State: rundir.Finished}}}, Table: &table.Table{}}
	m := newScreen(t, oddNotebook{openNotebook(t, ""), []session.Value{v}}, 100, 30)
	if screen := emulated(m); !strings.Contains(screen, "slopes · about · picture · runs") || strings.Contains(screen, "T train") {
		t.Errorf("views and keys of what was measured before:\n%s", screen)
	}
	m.Update(keyPress("T"))
	if screen := emulated(m); !strings.Contains(screen, "leave measured= out to train") {
		t.Errorf("T does not say why it does nothing:\n%s", screen)
	}
}

// TestTransferOnScreen: every view of a transfer is reachable and whole.
func TestTransferOnScreen(t *testing.T) {
	nb := openNotebook(t, "```eta\nt = transfer base=(shape d_model=256 layers=4 lr=3e-3) target=(shape d_model=1024 layers=8)\n```\n")
	m := newScreen(t, nb, 120, 40)
	for _, want := range []string{"attention_q", "7.5e-4 ", "arXiv 2505.01618", "--lr 0.00075", "", "", "", ""} {
		if screen := emulated(m); !strings.Contains(screen, want) {
			t.Errorf("no %q on\n%s", want, screen)
		}
		m.Update(keyPress("v"))
	}
	if screen := emulated(m); !strings.Contains(screen, "residual") {
		t.Errorf("v does not come round:\n%s", screen)
	}
}
