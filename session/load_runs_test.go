package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadFolder: a folder of runs is a table, its final losses are chosen, and values
// come out of the runs' names; a run that is added is seen.
func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	add := func(name string, losses ...float64) {
		t.Helper()
		run := filepath.Join(dir, "sweep", name)
		if err := os.MkdirAll(run, 0o700); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		for i, l := range losses {
			fmt.Fprintf(&log, "{\"step\": %d, \"loss\": %g}\n", 10*i, l)
		}
		for file, text := range map[string]string{"config.json": `{"n_params": 1000000, "tokens": 20000000}`, "metrics.jsonl": log.String()} {
			if err := os.WriteFile(filepath.Join(run, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("lr1e-3_bs8", 3, 2, 2.5)
	add("lr3e-3_bs8", 3, 2.2, 2.4)
	text := "last = load \"sweep\" name=\"lr{lr}_bs{batch}\"\nbest = load \"sweep\" name=\"lr{lr}_bs{batch}\" final=best\nbad = load \"sweep\" name=\"eta{lr}\""
	s := New("```eta\n"+text+"\n```\n", dir)
	defer func() { _ = s.Close() }()
	settle(t, s)
	column := func(name, column string) []float64 {
		t.Helper()
		v, ok := cell(t, s, name).Value.(Table)
		if !ok {
			t.Fatalf("%s: %v", name, cell(t, s, name).Err)
		}
		for _, c := range v.Columns {
			if c.Name == column {
				return c.Numbers
			}
		}
		t.Fatalf("%s has no column %s: %v", name, column, v.Columns)
		return nil
	}
	if lr, loss := column("last", "lr"), column("last", "loss"); fmt.Sprint(lr, loss) != "[0.001 0.003] [2.5 2.4]" {
		t.Errorf("last: %v %v", lr, loss)
	}
	if loss := column("best", "loss"); fmt.Sprint(loss) != "[2 2.2]" {
		t.Errorf("best: %v", loss)
	}
	if c := cell(t, s, "bad"); c.Err == nil || !strings.Contains(c.Err.Message, "eta{lr}") {
		t.Errorf("a pattern that no name matches: %v", c.Err)
	}
	add("lr9e-3_bs8", 3, 2.8)
	s.Poll()
	settle(t, s)
	if lr := column("last", "lr"); len(lr) != 3 {
		t.Errorf("after a run was added: %v", lr)
	}
}
