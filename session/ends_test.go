package session

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etastar/etastar/session/importers"
	"github.com/etastar/etastar/session/table"
)

// writeRuns writes runs of 4000 planned steps under a WSD schedule whose losses follow
// the annealing law; each ends where it is told to.
func writeRuns(t *testing.T, ends map[string]int) (dir string, losses map[string]float64) {
	t.Helper()
	dir, losses = t.TempDir(), map[string]float64{}
	for name, last := range ends {
		var lr float64
		if _, err := fmt.Sscanf(name, "lr%g", &lr); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(uint64(last), 3))
		var b strings.Builder
		const end, warmup, decayFrom, lambda = 4000, 100, 3000, 0.999
		var s1, s2, m, before, loss float64
		for s := 1; s <= end; s++ {
			rate := lr
			switch {
			case s < warmup:
				rate = lr * float64(s) / warmup
			case s > decayFrom:
				rate = lr * float64(end-s) / (end - decayFrom)
			}
			s1 += rate
			m = lambda*m + max(0, before-rate)
			s2, before = s2+m, rate
			loss = 2.4 + 0.6*math.Pow(s1, -0.5) - 0.4*s2 + math.Pow(math.Log(lr/1e-3), 2)/20
			if s%20 == 0 && s <= last {
				fmt.Fprintf(&b, "{\"step\": %d, \"loss\": %.5f, \"lr\": %.6g}\n", s, loss+0.01*r.NormFloat64(), rate)
			}
		}
		losses[name] = loss
		d := filepath.Join(dir, name)
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"metrics.jsonl": b.String(), "config.json": fmt.Sprintf(`{"lr": %g, "max_steps": 4000}`, lr)} {
			if err := os.WriteFile(filepath.Join(d, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, losses
}

func TestLoadPredictsEnds(t *testing.T) {
	dir, losses := writeRuns(t, map[string]int{"lr5e-4": 4000, "lr1e-3": 4000, "lr2e-3": 3600, "lr4e-3": 2000, "lr8e-3": 60})
	s := computed(t, fmt.Sprintf("```eta\nruns = load %q unfinished=predicted\n```\n", dir))
	c := s.Cells()[0]
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	tb := c.Value.(Table)
	low, high, how := tb.Column("loss low"), tb.Column("loss high"), tb.Column("predicted")
	for i := range tb.Rows {
		name, loss := tb.Column("run").String(i), tb.Column("loss").Value(i)
		switch name {
		case "lr5e-4", "lr1e-3":
			if how.String(i) != "" || !table.IsMissing(low.Value(i)) || math.Abs(loss-losses[name]) > 0.05 {
				t.Errorf("%s: %v, %q: a finished run is left as it is", name, loss, how.String(i))
			}
		case "lr8e-3":
			if how.String(i) != "" {
				t.Errorf("%s: %q: a curve of three points is not continued", name, how.String(i))
			}
		default:
			if !strings.Contains(how.String(i), "annealing law") || math.Abs(loss-losses[name]) > 0.06 || low.Value(i) > losses[name] || high.Value(i) < losses[name] {
				t.Errorf("%s: %v in [%v, %v], %q; it ends at %v", name, loss, low.Value(i), high.Value(i), how.String(i), losses[name])
			}
		}
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"3 of 5 runs ended before the steps they planned; 2 have the predicted end", "not predicted, and still the last loss logged: loss of lr8e-3: the curve is too short"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s\nwant %s", notes, want)
		}
	}
	// As logged, the same runs say that they are unfinished.
	s = computed(t, fmt.Sprintf("```eta\nruns = load %q\n```\n", dir))
	if notes := strings.Join(s.Cells()[0].Notes, "\n"); !strings.Contains(notes, "unfinished=predicted continues their curves") {
		t.Error(notes)
	}
	// Where the loss of one run is a word, the column has no numbers to replace.
	if err := os.WriteFile(filepath.Join(dir, "lr1e-3", "metrics.jsonl"), []byte("{\"step\": 4000, \"loss\": \"diverged\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = computed(t, fmt.Sprintf("```eta\nruns = load %q unfinished=predicted\n```\n", dir))
	if c := s.Cells()[0]; c.Err != nil || !strings.Contains(strings.Join(c.Notes, "\n"), "loss of lr2e-3: some run has a word for it, so the column is text") {
		t.Errorf("%v %q", c.Err, c.Notes)
	}
	s = computed(t, fmt.Sprintf("```eta\nruns = load %q unfinished=predicted\n```\n", filepath.Join(dir, "lr1e-3", "metrics.jsonl")))
	if err := s.Cells()[0].Err; err == nil || !strings.Contains(err.Error(), "ends are predicted of runs") {
		t.Error(err)
	}
}

// Finished curves of others, cut at 30, 50 and 70%, against their ends.
func TestPredictedEndsOfRealRuns(t *testing.T) {
	const formats = "../../shared/data/formats"
	if _, err := os.Stat(formats); err != nil {
		t.Skip("needs ../shared (real data is not redistributed)")
	}
	var errs []float64 // where the schedule was known
	inside, tried := 0, 0
	for _, path := range []string{
		"llmc_main_log/main.log", "modded_nanogpt_log/2024-06-06_AdamW.log", "nanogpt_stdout_and_wandb_run_dir/output.log",
		"wandb_history_csv/OLMo-ladder_190M-1xC.csv", "jsonl_run_dirs/lr_sweep_1/metrics.jsonl", "tensorboard_events", "wandb_chart_csv/wandb_export.csv",
	} {
		r, err := importers.ReadRuns(t.Context(), filepath.Join(formats, path), importers.Options{Final: importers.FinalLast})
		if err != nil {
			t.Fatal(err)
		}
		runs := gatherRuns(r)
		for i := range runs {
			for name, whole := range runs[i].losses {
				n := len(whole.step)
				if n < 60 || whole.diverged {
					continue
				}
				// The end is what the last losses scatter around.
				tail := whole.value[n-max(1, n/40):]
				end := 0.0
				for _, v := range tail {
					end += v / float64(len(tail))
				}
				for _, share := range []float64{0.3, 0.5, 0.7} {
					k, _ := slices.BinarySearch(whole.step, share*whole.last())
					run := unfinishedRun{planned: whole.last()}
					if kl, _ := slices.BinarySearch(runs[i].lr.step, share*whole.last()); kl > 0 {
						run.lr = logged{step: runs[i].lr.step[:kl], value: runs[i].lr.value[:kl]}
					}
					e, err := run.predict(logged{step: whole.step[:k], value: whole.value[:k]}, nil, name)
					if err != nil {
						t.Logf("%s %s %.0f%%: %v", path, name, 100*share, err)
						continue
					}
					t.Logf("%-30.30s %-28.28s %.0f%%: %.4f [%.4f, %.4f], ended at %.4f (%+.1f%%) by the %s law", path, name, 100*share, e.Loss, e.Low, e.High, end, 100*(e.Loss-end)/end, e.Law)
					if run.lr.step == nil {
						if !strings.Contains(strings.Join(e.Warnings, ";"), "schedule is not known") {
							t.Errorf("%s: %q", path, e.Warnings)
						}
						continue
					}
					tried++
					if e.Low <= end && end <= e.High {
						inside++
					}
					errs = append(errs, math.Abs(e.Loss-end)/end)
				}
			}
		}
	}
	slices.Sort(errs)
	t.Logf("%d predictions, %d intervals hold the end; median error %.2f%%, worst %.1f%%", tried, inside, 100*errs[len(errs)/2], 100*errs[len(errs)-1])
	if tried < 6 || inside < tried*8/10 || errs[len(errs)/2] > 0.015 {
		t.Errorf("%d predictions, %d intervals hold the end; median error %v", tried, inside, errs[len(errs)/2])
	}
}

// computed opens a notebook and waits until it is computed.
func computed(t *testing.T, text string) *Session {
	t.Helper()
	s := New(text, t.TempDir())
	t.Cleanup(func() { _ = s.Close() })
	settle(t, s)
	return s
}
