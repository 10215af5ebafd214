package export

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/importers"
	"github.com/etastar/etastar/session/table"
)

// sameTable compares cells to the bit; a NaN is not a blank cell.
func sameTable(t *testing.T, what string, want, got *table.Table) {
	t.Helper()
	if want.Rows != got.Rows || len(want.Columns) != len(got.Columns) {
		t.Fatalf("%s: %d × %d, want %d × %d", what, got.Rows, len(got.Columns), want.Rows, len(want.Columns))
	}
	for k, c := range want.Columns {
		d := got.Columns[k]
		if c.Name != d.Name || c.Kind != d.Kind {
			t.Fatalf("%s: column %q of kind %d, want %q of %d", what, d.Name, d.Kind, c.Name, c.Kind)
		}
		for i := range want.Rows {
			if c.Kind == table.Text && c.String(i) != d.String(i) || c.Kind == table.Number &&
				(table.IsMissing(c.Numbers[i]) != table.IsMissing(d.Numbers[i]) || math.IsNaN(c.Numbers[i]) != math.IsNaN(d.Numbers[i]) ||
					!math.IsNaN(c.Numbers[i]) && c.Numbers[i] != d.Numbers[i]) {
				t.Fatalf("%s: column %q, row %d: %v, want %v", what, c.Name, i, d.String(i), c.String(i))
			}
		}
	}
}

// What is exported as CSV, JSON or Parquet is imported as it was.
func TestRoundTrip(t *testing.T) {
	const data = "z name,lr,\"a \"\"b\"\"\",loss,note,\"x, y\"\n" +
		"r1,1e-4,0.1,3.25,first,1\nr2,3.453e-04,,NaN,\"two, \"\"three\"\"\",2\nr3,0.00123456789012345,-1e300,inf,,3\n,5e-324,7,-inf,ηλ,\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.csv"), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	s := quiet(t, session.New("```eta\nruns = load \"x.csv\"\ncurves = curves runs by=z_name\n```\n", dir))
	want, err := importers.Read(t.Context(), filepath.Join(dir, "x.csv"), importers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(b *bytes.Buffer) error{
		"runs.csv":     func(b *bytes.Buffer) error { return CSV(b, s, "runs") },
		"runs.json":    func(b *bytes.Buffer) error { return JSONRows(b, s, "runs") },
		"runs.parquet": func(b *bytes.Buffer) error { return Parquet(b, s, "runs") },
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, render(t, write), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := importers.Read(t.Context(), path, importers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sameTable(t, name, want, got)
	}
}

// Every value that has rows goes to each format with the same cells.
func TestRowsOfValues(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	dir := t.TempDir()
	tried := 0
	for _, c := range s.Cells() {
		if _, ok := records(current(&c)); !ok || c.Name == "" {
			continue
		}
		tried++
		tables := map[string]*table.Table{}
		for name, write := range map[string]func(b *bytes.Buffer) error{
			".csv":     func(b *bytes.Buffer) error { return CSV(b, s, c.Name) },
			".json":    func(b *bytes.Buffer) error { return JSONRows(b, s, c.Name) },
			".parquet": func(b *bytes.Buffer) error { return Parquet(b, s, c.Name) },
		} {
			path := filepath.Join(dir, c.Name+name)
			if err := os.WriteFile(path, render(t, write), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := importers.Read(t.Context(), path, importers.Options{})
			if err != nil {
				t.Fatal(err)
			}
			tables[name] = got
		}
		sameTable(t, c.Name+".json", tables[".csv"], tables[".json"])
		sameTable(t, c.Name+".parquet", tables[".csv"], tables[".parquet"])
	}
	if tried < 4 {
		t.Errorf("%d values", tried)
	}
}
