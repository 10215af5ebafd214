package export

import (
	"bytes"
	"encoding/csv"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session"
)

var update = flag.Bool("update", false, "write testdata anew")

// The law that testdata/sweep.csv is drawn from: ln η* = lnC + a·ln N + b·ln D.
const (
	lnC = 3.2
	a   = -0.7
	b   = 0.25
)

// sweepCSV draws the sweep: 12 cells of 9 learning rates a factor √2 apart, a loss
// of 2.5 at η* that rises by 0.05·(ln η/η*)² with noise of SD 0.0005. The two highest
// rates of the largest D diverge. In the largest cell every rate lies below η*.
func sweepCSV() []byte {
	rng := rand.New(rand.NewPCG(11, 7))
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	write := func(row ...string) { _ = w.Write(row) }
	round := func(x float64, digits int) string {
		r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', digits-1, 64), 64)
		return strconv.FormatFloat(r, 'f', -1, 64)
	}
	write("name", "N", "D", "lr", "batch_tokens", "val loss")
	run := 0
	for _, n := range []float64{1e8, 2e8, 4e8, 8e8} {
		for _, d := range []float64{2e9, 8e9, 32e9} {
			best := lnC + a*math.Log(n) + b*math.Log(d)
			start := best - 4*math.Ln2/2 + 0.2*(rng.Float64()-0.5)
			if n == 8e8 && d == 32e9 {
				start -= 5 * math.Ln2 / 2
			}
			for k := range 9 {
				x := start + float64(k)*math.Ln2/2
				value := 2.5 + 0.05*(x-best)*(x-best) + 0.0005*rng.NormFloat64()
				text := round(value, 5)
				if d == 32e9 && n < 8e8 && k >= 7 {
					text = "NaN"
				}
				run++
				write("run|<b>"+strconv.Itoa(run)+"</b>", round(n, 3), round(d, 3), round(math.Exp(x), 4), "524288", text)
			}
		}
	}
	w.Flush()
	return out.Bytes()
}

// TestMain draws the sweep before the tests that read it.
func TestMain(m *testing.M) {
	flag.Parse()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "sweep.csv"), sweepCSV(), 0o600); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func TestSweepIsAsDrawn(t *testing.T) {
	golden(t, "sweep.csv", sweepCSV())
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (go test ./session/export -update writes it anew): −want +got\n%s", name, diff)
	}
}

// open computes the notebook at path.
func open(t *testing.T, path string) *session.Session {
	t.Helper()
	s, err := session.Open(path, session.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return quiet(t, s)
}

func quiet(t *testing.T, s *session.Session) *session.Session {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	if !s.Wait(time.Minute) {
		t.Fatal("still computing after a minute")
	}
	return s
}

// compute computes statements in memory, in testdata.
func compute(t *testing.T, statements string) *session.Session {
	t.Helper()
	return quiet(t, session.New("```eta\n"+statements+"\n```\n", "testdata"))
}

// render runs one of the writers.
func render(t *testing.T, write func(b *bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
