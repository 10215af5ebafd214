// Package example holds the notebook that opens when none is named, with its
// sweep. The sweep is synthetic: Sweep draws it from the law and the noise that
// are constants here and that the notebook states.
//
// It must not hold anyone's data.
package example

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/session"
)

//go:embed example.md
var notebook string

//go:embed sweep.csv
var sweep string

// The law that the sweep is drawn from: η* = C·N^A·D^B at the best batch.
const (
	C = 12.0
	A = -0.70
	B = 0.25
)

const (
	// Noise is the standard deviation of the loss, relative.
	Noise = 0.0004
	// Halving and Doubling are what half and twice η* cost, relative to the loss: the
	// medians that learning_rate sweeps show (a doubling costs more).
	Halving  = 0.0036
	Doubling = 0.0054
)

// Install puts the example into dir, unless it is there already, and returns the
// notebook's path: work done in it stays.
func Install(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("install the example: %w", err)
	}
	for name, text := range map[string]string{"example.md": notebook, "sweep.csv": sweep} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("install the example: %w", err)
		}
		if err := session.WriteAtomic(path, []byte(text)); err != nil {
			return "", fmt.Errorf("install the example: %w", err)
		}
	}
	return filepath.Join(dir, "example.md"), nil
}

// Sweep draws the runs: four sizes, three horizons, four batches, twelve
// learning rates a half octave apart around where the optimum is not exactly.
func Sweep(seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	b.WriteString("params,tokens,batch_tokens,lr,val_loss\n")
	for i, n := range []float64{60e6, 120e6, 250e6, 500e6} {
		for j, perParam := range []float64{20, 60, 180} {
			d := n * perParam
			best := C * math.Pow(n, A) * math.Pow(d, B)
			bestBatch := 0.58 * math.Pow(d, 0.571) // the shape of a published batch law, arXiv 2503.04715
			for _, batch := range []float64{131072, 262144, 524288, 1048576} {
				off := math.Log(batch / bestBatch)
				for k := range 12 {
					lr := 2.5e-3 * math.Pow(2, float64(k-4)/2)
					if i == 3 && j == 2 && k > 4 {
						continue // the last cell's grid stops too low: a minimum at its edge
					}
					x := math.Log(lr/best) - 0.3*off
					fmt.Fprintf(&b, "%.0f,%.0f,%.0f,%.4g,%.5f\n", n, d, batch, lr, loss(n, d, x, off, rng))
				}
			}
		}
	}
	return b.String()
}

// loss is Chinchilla's with the corrected constants (Besiroglu 2024), a valley over
// x = ln η/η* that is steeper above, a shallow one over the batch, and noise.
// Twelve times η* diverges.
func loss(n, d, x, off float64, rng *rand.Rand) float64 {
	l := 1.8172 + 482.01/math.Pow(n, 0.3478) + 2085.43/math.Pow(d, 0.3658)
	noise := 1 + Noise*rng.NormFloat64()
	if x > math.Log(12) {
		return l * (2 + rng.Float64())
	}
	cost := Halving
	if x > 0 {
		cost = Doubling
	}
	l *= 1 + cost*x*x/(math.Ln2*math.Ln2) + 0.002*off*off
	return l * noise
}

// Truth is η* of the law the sweep is drawn from.
func Truth(n, d float64) float64 { return C * math.Pow(n, A) * math.Pow(d, B) }
