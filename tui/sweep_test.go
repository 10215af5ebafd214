package tui

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sweepCSV is a synthetic sweep of about rows runs, the same every time: losses
// around η* = 12·N^−0.7·D^0.25 with a ripple in place of noise, and some diverged runs.
func sweepCSV(rows int) string {
	var b strings.Builder
	b.WriteString("N,D,lr,batch,loss\n")
	ns := []float64{2e8, 3e8, 5e8, 1e9}
	ds := []float64{4e9, 1e10, 3e10, 1e11}
	const rates = 11
	batches := max(rows/(len(ns)*len(ds)*rates), 1)
	i := 0
	for _, n := range ns {
		for _, d := range ds {
			star := math.Log(12) - 0.7*math.Log(n) + 0.25*math.Log(d)
			for bi := range batches {
				for k := range rates {
					x := star + (float64(k)-5)*0.35 + 0.11*math.Sin(n/1e8+d/1e9)
					loss := 1.7 + 400/math.Pow(n, 0.34) + 410/math.Pow(d, 0.28)
					loss *= 1 + 0.004*(x-star)*(x-star) + 0.00012*math.Sin(float64(7*i)) + 0.003*float64(bi)
					if k == rates-1 && bi%4 == 0 {
						loss *= 2.5
					}
					fmt.Fprintf(&b, "%g,%g,%.6g,%d,%.6f\n", n, d, math.Exp(x), 65536*(bi+1), loss)
					i++
				}
			}
		}
	}
	return b.String()
}

const syntheticText = `# A synthetic sweep

Press ← and → to turn the marked knob.

` + "```eta" + `
runs   = load "sweep.csv"
curves = curves runs by=N,D form=quadratic window=2 batch=tuned
law    = law curves form=power
target = predict law N=7B D=140B at=2e-3
` + "```" + `
`

// writeNotebook puts a notebook and a synthetic sweep into a directory of their own.
func writeNotebook(t testing.TB, text string, rows int) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{"notebook.md": text, "sweep.csv": sweepCSV(rows)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "notebook.md")
}
