package fitting

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// The reference data lie beside the checkout, in shared/; they are Step Law's and
// are not redistributed.

func sharedDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		shared := filepath.Join(dir, "shared")
		if _, err := os.Stat(filepath.Join(shared, "reference", "steplaw_dense.json")); err == nil {
			return shared
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Skip("needs ../shared (reference data is not redistributed)")
		}
		dir = up
	}
}

type refFit struct {
	N        int       `json:"n"`
	C0       *float64  `json:"c0"`
	C1       *float64  `json:"c1"`
	C2       *float64  `json:"c2"`
	R2       *float64  `json:"r2"`
	RMSE     *float64  `json:"rmse"`
	EtaStar  *float64  `json:"eta_star"`
	LossStar *float64  `json:"loss_star"`
	Flags    []string  `json:"flags"`
	LRsUsed  []float64 `json:"lrs_used"`
}

type refCell struct {
	N        float64 `json:"N"`
	D        float64 `json:"D"`
	BSTokens float64 `json:"bs_tokens"`
	Envelope []struct {
		LR   float64 `json:"lr"`
		Loss float64 `json:"min_smooth_loss"`
		BS   float64 `json:"bs_at_min"`
	} `json:"envelope"`
	Fits map[string]*refFit `json:"fits"`
}

type refLaw struct {
	N       int                  `json:"n"`
	LnC     float64              `json:"lnC"`
	Coef    map[string]float64   `json:"coef"`
	SE      map[string]float64   `json:"se"`
	T95     map[string][]float64 `json:"t95"`
	R2      float64              `json:"r2"`
	ResidSD float64              `json:"resid_sd"`
}

type refDense struct {
	Cells     []refCell         `json:"cells"`
	Laws      map[string]refLaw `json:"laws"`
	PerBatch  map[string]refLaw `json:"per_batch_laws_k2"`
	Published []struct {
		N         float64 `json:"N"`
		D         float64 `json:"D"`
		Published float64 `json:"eta_published"`
		LnOver    float64 `json:"ln_published_over_k2"`
		Penalty   float64 `json:"envelope_penalty_pct"`
	} `json:"comparison_with_published"`
	Bootstrap map[string]struct {
		LnC []float64 `json:"lnC"`
		A   []float64 `json:"a_lnN"`
		B   []float64 `json:"b_lnD"`
	} `json:"bootstrap_over_cells"`
	Jackknife map[string]struct {
		SE struct {
			LnC float64 `json:"lnC"`
			A   float64 `json:"a"`
			B   float64 `json:"b"`
		} `json:"se"`
		Left []struct {
			Out []float64 `json:"left_out"`
			LnC float64   `json:"lnC"`
			A   float64   `json:"a"`
			B   float64   `json:"b"`
		} `json:"leave_one_out_coefs"`
	} `json:"jackknife_over_cells"`
	Delta map[string]map[string]float64 `json:"delta_method_se_ln_eta"`
}

func readJSON(tb testing.TB, name string, into any) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(sharedDir(tb), "reference", name))
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
}

func loadDense(tb testing.TB) *refDense {
	var r refDense
	readJSON(tb, "steplaw_dense.json", &r)
	return &r
}

var stepRuns struct {
	once sync.Once
	runs []Run
	err  error
}

// loadStepRuns reads Step Law's 1,911 dense runs.
func loadStepRuns(tb testing.TB) []Run {
	tb.Helper()
	path := filepath.Join(sharedDir(tb), "data", "steplaw", "dense_lr_bs_loss.csv")
	stepRuns.once.Do(func() { stepRuns.runs, stepRuns.err = readStepRuns(path) })
	if stepRuns.err != nil {
		tb.Fatal(stepRuns.err)
	}
	return stepRuns.runs
}

func readStepRuns(path string) ([]Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(f).ReadAll()
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	var runs []Run
	for row, rec := range records[1:] {
		value := func(name string) float64 {
			v, perr := strconv.ParseFloat(rec[column[name]], 64)
			if perr != nil {
				err = perr
			}
			return v
		}
		runs = append(runs, Run{
			N: value("N"), D: value("D"), B: value("bs") * 2048, C: nan,
			LR: value("lr"), Loss: value("smooth loss"), Row: row,
		})
	}
	return runs, err
}

// referenceOptions are those of METHOD.md: no run is set apart, and learning
// rates are grouped only when they are written alike.
func referenceOptions(w Window) CurveOptions {
	return CurveOptions{
		ByN: true, ByD: true, Window: w,
		Diverged:    DivergedRule{Keep: true},
		LRTolerance: 1e-12,
	}
}

var refWindows = map[string]Window{
	"k2":    {Kind: WindowK, K: 2},
	"k3":    {Kind: WindowK, K: 3},
	"w1pct": {Kind: WindowPct, Pct: 1},
	"w2pct": {Kind: WindowPct, Pct: 2},
	"all":   {Kind: WindowAll},
}

var refFlags = map[Flag]string{
	FlagEdgeLow:       "argmin_at_grid_edge",
	FlagEdgeHigh:      "argmin_at_grid_edge",
	FlagNearEdge:      "argmin_one_from_edge",
	FlagFewPoints:     "fewer_than_5_points",
	FlagTooFew:        "fewer_than_3_points",
	FlagConcave:       "concave",
	FlagOutsidePoints: "vertex_outside_fitted_points",
	FlagOutsideGrid:   "vertex_outside_grid",
	FlagHighLoss:      "window_contains_loss_over_1.1x_min",
}
