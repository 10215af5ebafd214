package importers

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/etastar/etastar/session/table"
)

// sweepFile writes a CSV of the shape of a published sweep: thirteen columns,
// losses in full precision and a name that differs from row to row.
func sweepFile(tb testing.TB, rows int) (path string, size int64) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "sweep.csv")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	fmt.Fprintln(w, "h,ffnh,numh,numl,lr,bs,ti,loss,smooth loss,exp_name,D,N,D/N")
	for i := range rows {
		h, lr, bs, n, d := 960+64*r.IntN(8), 1e-4*float64(1+r.IntN(99)), 32<<r.IntN(6), 214663680+r.IntN(1e6), 20e9*float64(1+r.IntN(5))
		fmt.Fprintf(w, "%d,9368,15,7,%.7g,%d,%d,%.6f,%v,sweep_%07d_h%d_lr%.3e_bs%d,%.0f,%d,%v\n",
			h, lr, bs, 60000+r.IntN(999), 2+r.Float64(), 2+r.Float64(), i, h, lr, bs, d, n, d/float64(n))
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return path, info.Size()
}

func BenchmarkReadCSV1M(b *testing.B) {
	path, size := sweepFile(b, 1_000_000)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		t, err := Read(b.Context(), path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if t.Rows != 1_000_000 {
			b.Fatalf("%d rows", t.Rows)
		}
	}
}

// BenchmarkWhere filters a table of a million rows as read.
func BenchmarkWhere(b *testing.B) {
	path, _ := sweepFile(b, 1_000_000)
	t, err := Read(b.Context(), path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	t, err = table.Assign(t, map[table.Role]string{table.RoleBatch: "bs*2048"})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		if _, err := table.Where(t, `loss < 2.5 && bs*2048 >= 2^18 && exp_name contains "bs512"`); err != nil {
			b.Fatal(err)
		}
	}
}
