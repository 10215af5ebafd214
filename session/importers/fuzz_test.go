package importers

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session/table"
)

// fuzzRead writes content to path, reads it in two sizes of chunks, which must make no difference,
// and checks the table's shape.
func fuzzRead(t *testing.T, path string, content []byte, o Options) (*table.Table, error) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	small, smallErr := read(t.Context(), path, o, 7)
	large, largeErr := read(t.Context(), path, o, chunkSize)
	if (smallErr != nil) != (largeErr != nil) || smallErr != nil && smallErr.Error() != largeErr.Error() {
		t.Fatalf("%q: in small chunks %v, in large %v", content, smallErr, largeErr)
	}
	if largeErr != nil {
		return nil, largeErr
	}
	if diff := cmp.Diff(dump(large), dump(small)) + cmp.Diff(large.Notes, small.Notes) + cmp.Diff(large.Lines, small.Lines); diff != "" {
		t.Fatalf("%q: chunks make a difference: %s", content, diff)
	}
	names := map[string]bool{}
	for _, c := range large.Columns {
		if c.Len() != large.Rows || names[c.Name] || c.Name == "" {
			t.Fatalf("%q: column %q has %d of %d rows, known: %v", content, c.Name, c.Len(), large.Rows, names[c.Name])
		}
		names[c.Name] = true
		for i := range c.Len() {
			c.String(i)
		}
	}
	if _, err := table.Assign(large, nil); err != nil {
		t.Fatalf("%q: %v", content, err)
	}
	return large, nil
}

func FuzzGzip(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "{\"a\": 1}\n", "s:1 trl:3\ns:2 trl:2\n", "PAR1"} {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		f.Add(b.Bytes()[3:])
		f.Add(append(b.Bytes()[3:], b.Bytes()...))
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = fuzzRead(t, path, append([]byte(gzipMagic+"\x08"), content...), Options{})
	})
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a,b\r\n\"1\r\n\"\"\",x\r\n", "a;b\n0,5;x\n", "\"", "a,b\n1\n", "a\nNaN\n\n-inf", "a,b\n7B,\"1,234\"\n", "\r", "\xff,\xff\n\xfe,1\n"} {
		f.Add([]byte(s), false)
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte, ragged bool) {
		checkSplit(t, content, ',')
		_, _ = fuzzRead(t, path, content, Options{Format: "csv", Ragged: ragged})
		_, _ = fuzzRead(t, path, content, Options{Ragged: ragged})
	})
}

func FuzzJSONLines(f *testing.F) {
	for _, s := range []string{
		`{"a": 1, "b": {"c": "x"}}` + "\n" + `{"a": NaN}`, `[{"a": 1}, {"a": 2}]`, `{"h": [{"a": 1}, {"a": 2}], "b": 1}`,
		`{"a": "\u00e9\n", "l": [1, [2, "]"]]}`, `{"a": 1`, `{"a": -Infinity} {"b": null}`, `{"":{"":1}}`,
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = fuzzRead(t, path, content, Options{Format: "jsonl"})
		checkJSON(t, content)
	})
}

// checkJSON parses one object and compares its scalars with encoding/json's.
func checkJSON(t *testing.T, content []byte) {
	var want map[string]any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var p jsonParser
	n, err := p.object(content)
	if decodeErr := decoder.Decode(&want); decodeErr != nil || want == nil {
		return
	}
	if err != nil {
		var je *jsonError
		if errors.As(err, &je) && bytes.Contains(content, []byte("\\")) || len(content) > 200 {
			return // lone surrogates, depth: ours to refuse
		}
		t.Fatalf("%q: %v", content, err)
	}
	if int64(n) != decoder.InputOffset() {
		t.Fatalf("%q: the object takes %d bytes, %d by encoding/json", content, n, decoder.InputOffset())
	}
	for _, l := range p.leaves {
		v, ok := want[string(l.path)]
		if !ok {
			continue // nested, or with bytes that are no UTF-8
		}
		switch v := v.(type) {
		case json.Number:
			got, _, ok := parseDecimal(l.cell)
			exact, err := strconv.ParseFloat(v.String(), 64)
			if twice(p.leaves, l.path) {
				continue
			}
			if !ok || err == nil && math.Float64bits(got) != math.Float64bits(exact) {
				t.Fatalf("%q: %s = %v, want %v", content, l.path, got, exact)
			}
		case string:
			if string(l.cell) != v && !twice(p.leaves, l.path) && bytes.IndexByte(l.cell, 0xff) < 0 && string(bytes.ToValidUTF8(l.cell, nil)) == string(l.cell) {
				t.Fatalf("%q: %s = %q, want %q", content, l.path, l.cell, v)
			}
		}
	}
}

func twice(leaves []leaf, path []byte) bool {
	n := 0
	for _, l := range leaves {
		if bytes.Equal(l.path, path) {
			n++
		}
	}
	return n > 1
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{
		"|lr|loss|\n|-|-|\n|0.04 (default)|2|\n", "a | b\n--|:-:\n**1** | `x \\| y`\n", "> |a|\n> |-|\n> |[x](y)|\n", "```\n|a|b|\n|-|-|\n```", "|a|a|\n|-|-|\n|—|7B|\n|1|350|\n",
	} {
		f.Add([]byte(s), true)
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte, ragged bool) {
		_, _ = fuzzRead(t, path, content, Options{Format: "markdown", Ragged: ragged})
	})
}
