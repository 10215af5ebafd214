package importers

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etastar/etastar/session/table"
)

func init() { mistakesAreErrors = false }

// A panic where a file is read, also on the goroutines that read runs, is an error that
// names the file and its format; other runs are read.
func TestPanicIsAnError(t *testing.T) {
	known := formats
	formats = append([]format{{"broken", nil, func(head []byte) int {
		if strings.HasPrefix(string(head), "broken") {
			return 100
		}
		return 0
	}, func(j *job) error {
		return j.scanSeparated([]byte(nil)[len(j.cols.list)], false)
	}}}, known...)
	mistakesAreErrors = true
	t.Cleanup(func() { formats, mistakesAreErrors = known, false })

	dir := tree(t, map[string]string{"a/metrics.jsonl": oneStep, "b/metrics.jsonl": "broken"})
	want := regexp.MustCompile(`reading it as broken failed inside \(mistake_test\.go:\d+: .*index out of range.*\): this is a mistake in etastar, not in the file`)
	path := filepath.Join(dir, "b", "metrics.jsonl")
	_, err := Read(t.Context(), path, Options{})
	if !errors.Is(err, errMistake) || !want.MatchString(err.Error()) || !strings.HasPrefix(err.Error(), `"`+path+`": `) {
		t.Error(err)
	}
	check := func(r *Runs, err error) {
		t.Helper()
		if err != nil || r.Table.Rows != 1 || len(r.Apart) != 1 || r.Apart[0].Path != "b" || !errors.Is(r.Apart[0].Err, errMistake) ||
			!want.MatchString(strings.Join(r.Table.Notes, "\n")) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	check(ReadRuns(t.Context(), dir, Options{}))
	w := NewWatcher(dir)
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := w.Runs()
	check(r.Runs, err)

	formats[0].scan = func(j *job) error {
		j.runs = func(*table.Table) []run { panic("late") }
		j.cols.list, j.cols.lines = []*column{newColumn("a")}, nil
		return nil
	}
	if _, err := ReadRuns(t.Context(), path, Options{}); !errors.Is(err, errMistake) || !strings.Contains(err.Error(), "making a table of its runs failed inside (mistake_test.go:") {
		t.Error(err)
	}
	formats[0].sniff = func([]byte) int { panic("early") }
	if _, err := Read(t.Context(), path, Options{}); !errors.Is(err, errMistake) || !strings.Contains(err.Error(), "finding its format failed inside (mistake_test.go:") {
		t.Error(err)
	}
}
