package tui

import (
	"strings"
	"testing"
)

// together lists the places that can hold at the same time.
func together() []place {
	var out []place
	for _, flow := range []place{inFlow, inRows} {
		for _, what := range []place{0, onProse, onStatement, onStatement | onKnobs} {
			for _, value := range []place{0, onCurves, onTable, onCurves | onPanes, onTable | onPanes, onCurves | onTable | onPanes, onPanes, onSweep | onPanes | onRuns, onSweep | onPanes | onRuns | onRun, onSweep | onTable | onPanes} {
				out = append(out, inNotebook|flow|what|value)
			}
		}
	}
	return append(out, inLine, inLine|inPopup, inLine|inPrompt, inLine|inPrompt|inPopup, inSearch, inHistory, inProse, inRun, inOverlay)
}

// TestNoKeyMeansTwoThings: at no place do two bindings share a key, and every
// binding is documented and reachable.
func TestNoKeyMeansTwoThings(t *testing.T) {
	table := newKeyTable()
	reached := make([]bool, len(table.all))
	for _, at := range together() {
		owner := map[string]int{}
		for i := range table.all {
			b := &table.all[i]
			if !b.holds(at) {
				continue
			}
			reached[i] = true
			for _, k := range b.keys {
				if j, taken := owner[k]; taken {
					t.Errorf("%s is both %q and %q", k, table.all[j].what, b.what)
				}
				owner[k] = i
				if table.find(k, at) != b {
					t.Errorf("%s does not lead to %q", k, b.what)
				}
			}
		}
	}
	for i, b := range table.all {
		if !reached[i] {
			t.Errorf("%v is never reached", b.keys)
		}
		if b.what == "" || b.do == nil || len(b.keys) == 0 {
			t.Errorf("%v says nothing or does nothing", b.keys)
		}
		if keys, word := cutHint(b.hint); b.hint != "" && (keys == "" || word == "") {
			t.Errorf("hint %q has no key or no word", b.hint)
		}
	}
}

// TestHelpShowsEveryKey: the list of all keys is the table.
func TestHelpShowsEveryKey(t *testing.T) {
	m := newScreen(t, openNotebook(t, syntheticText), 120, 36)
	m.openHelp("keys")
	text := stripped(strings.Join(m.over.text, "\n"))
	for _, b := range m.keys.all {
		if !strings.Contains(text, b.what) {
			t.Errorf("%q is not in the help", b.what)
		}
		for _, k := range b.keys {
			if !strings.Contains(text, keyName(k)) {
				t.Errorf("%s is not in the help", k)
			}
		}
	}
}
