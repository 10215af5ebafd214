package importers

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// splitAll splits a whole text; at returns what is known of b at each step.
func splitAll(text []byte, comma byte) (records [][]string, err error) {
	s := splitter{comma: comma}
	for len(text) > 0 {
		n, _, err := s.next(text, true)
		if err != nil {
			return records, err
		}
		if n == 0 {
			return records, errors.New("no progress")
		}
		if len(s.fields) > 0 {
			r := make([]string, len(s.fields))
			for i, f := range s.fields {
				r[i] = string(f)
			}
			records = append(records, r)
		}
		text = text[n:]
	}
	return records, nil
}

// reference splits with encoding/csv, record by record.
func reference(text []byte, comma rune) (records [][]string, err error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord = comma, -1
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, record)
	}
}

func checkSplit(t interface{ Fatalf(string, ...any) }, text []byte, comma byte) {
	got, gotErr := splitAll(text, comma)
	want, wantErr := reference(text, rune(comma))
	if (gotErr != nil) != (wantErr != nil) {
		t.Fatalf("%q: error %v, want %v", text, gotErr, wantErr)
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("%q:\n got %q\nwant %q", text, got, want)
	}
	// A record cut off is asked for again, or is the same as in the whole text.
	whole, cut := splitter{comma: comma}, splitter{comma: comma}
	n, lines, err := whole.next(text, true)
	for i := range text {
		m, cutLines, cutErr := cut.next(text[:i], false)
		if m == 0 && cutErr == nil {
			continue
		}
		if m != n || (cutErr != nil) != (err != nil) || cutErr == nil && cutLines != lines ||
			cutErr == nil && !slices.EqualFunc(cut.fields, whole.fields, bytes.Equal) {
			t.Fatalf("%q: cut at %d: %d bytes, %d lines, %v; whole: %d, %d, %v", text, i, m, cutLines, cutErr, n, lines, err)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, text := range []string{
		"a,b\n1,2\n", "a,b\r\n1,2\r\n", "a", "a\n", "\n\n", "\r\n\r\n", "\r", "a\r", "a\rb\n", ",", ",\n", "a,,b\n",
		`"a","b"`, `"a"` + "\r\n", `"a"` + "\r", `"a"` + "\rb", `"a""b"`, `""""`, `""`, `"a` + "\n" + `b",c`,
		`"a` + "\r\n" + `b""` + "\r\n" + `",c` + "\nd,e", `a"b`, `a,"b"c`, `"a`, `"a"" `, "\"a\r", "\"\r\"", ` "a"`, "a,\"\n",
		"\"a\n\nb\"\n\n\"c\"", "é,ü\n",
	} {
		checkSplit(t, []byte(text), ',')
		checkSplit(t, bytes.ReplaceAll([]byte(text), []byte{','}, []byte{';'}), ';')
	}
}

func TestSplitAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "1.5", ",", ",", "\n", "\r\n", "\r", `"`, `""`, `"x"`, ` `, "é"})).Draw(t, "parts")
		var text []byte
		for _, p := range parts {
			text = append(text, p...)
		}
		checkSplit(t, text, ',')
	})
}

// What encoding/csv writes is read back.
func TestSplitReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(2, 4).Draw(t, "width")
		rows := rapid.SliceOf(rapid.SliceOfN(rapid.StringOf(rapid.RuneFrom([]rune("ab,\"\n 1.é"))), width, width)).Draw(t, "rows")
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		got, err := splitAll(b.Bytes(), ',')
		if err != nil || !slices.EqualFunc(got, rows, slices.Equal) {
			t.Fatalf("%q: %q, %v", rows, got, err)
		}
	})
}

func TestSplitLoose(t *testing.T) {
	s := splitter{comma: '\t', loose: true}
	n, _, err := s.next([]byte("the \"best\" run\t5\"\t\"a\tb\"\n"), true)
	if err != nil || n == 0 || len(s.fields) != 3 || string(s.fields[0]) != `the "best" run` || string(s.fields[1]) != `5"` || string(s.fields[2]) != "a\tb" {
		t.Errorf("%q, %v", s.fields, err)
	}
}
