package importers

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzEvents reads content as it stands, and as the record of a file that is
// whole.
func FuzzEvents(f *testing.F) {
	f.Add(smallEvents())
	f.Add(event(1, 2, simple("loss", 3)))
	f.Add(event(1, 2, tensorValue("loss", whole(1, dtFloat), message(2, nil), single(5, 2))))
	f.Add([]byte{0x2a, 0})
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		if sniffEvents(content) > 0 {
			if _, err := fuzzRead(t, path, content, Options{Format: "tensorboard"}); err != nil {
				t.Fatalf("%q: %v", content, err)
			}
		}
		framed := appendFrame(nil, content)
		framed = appendFrame(framed, event(1, 3, simple("a", 1)))
		framed = appendFrame(framed, content)
		if _, err := fuzzRead(t, path, framed, Options{Format: "tensorboard"}); err != nil {
			t.Fatalf("%q: %v", content, err)
		}
	})
}

func FuzzLogs(f *testing.F) {
	for _, tt := range logTests {
		content, err := os.ReadFile(filepath.Join("testdata", tt.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, s := range []string{
		"s:1 trl:2\ns:1 trl:3\ns:0 tel:nan", "step:1/2 a:-infms b:1 c:\n", "\x1b[1miteration 1/ 2 | a: 1 | iteration 3/4 | b 2|\n", "iter 1: loss 1, a 2%, b 3ms,,\n",
		" validation loss at iteration 1 | a value: 1 | \n iteration 1/1 | step: 4 | config/train_iters: 1 | restart: 2 |\n iteration 0/1 | a: 1 |\n", "s:1 :1 \xff:2 trl:1e999\n",
		"iteration 1/1 |  : 1 | \xff: 2 | x : 3 |\n",
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, l := range logFormats {
			_, _ = fuzzRead(t, path, content, Options{Format: l.name})
		}
		_, _ = fuzzRead(t, path, content, Options{})
	})
}

func FuzzTrainerState(f *testing.F) {
	content, err := os.ReadFile(filepath.Join("testdata", "trainer_state.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	for _, s := range []string{
		`{"log_history": [{"step": 1, "a": 1, "a": 2, "": 3, "b": {"c": "1e3"}}, {"step": 1, "a": 1}]`, `{"log_history": [], "max_steps": "x"}`, `{"log_history": [{}, {"step": null}],}`,
		`{"log_history": [{"step": 2}, {"step": 1, "restart": 2, "config/max_steps": 1}], "max_steps": 4, "max_steps": 5}`,
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, content []byte) {
		_, _ = fuzzRead(t, path, content, Options{Format: "trainer_state"})
	})
}
