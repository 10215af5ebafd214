package snippet_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/etastar/etastar/mup/snippet"
)

var rate = snippet.Rate{
	LR: 3e-4, Low: 2e-4, High: 4.5e-4, Level: 0.95, N: 7e9, D: 1.4e12, Batch: 4194304, Band: [2]float64{2.5e-4, 3.6e-4},
	Law: "ln η* = 1 − 0.2·ln N\n[optimizer]", Warnings: []string{"4× past N"},
}

// Each text holds the rate where its trainer looks for it, in that format's own parser.
func TestRate(t *testing.T) {
	write := func(name string) string {
		t.Helper()
		s, err := snippet.WriteRate(name, rate)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const steps = 333787 // ⌈1.4e12/4194304⌉
	var torchtitan struct {
		Optimizer struct{ LR float64 }
		Training  struct{ Steps int }
	}
	if err := toml.Unmarshal([]byte(write("torchtitan")), &torchtitan); err != nil || torchtitan.Optimizer.LR != 3e-4 || torchtitan.Training.Steps != steps {
		t.Errorf("%+v, %v", torchtitan, err)
	}
	var nanotron struct {
		Optimizer struct {
			S struct {
				LR any `yaml:"learning_rate"`
			} `yaml:"learning_rate_scheduler"`
		}
		Tokens struct {
			Steps int `yaml:"train_steps"`
		}
	}
	if err := yaml.Unmarshal([]byte(write("nanotron")), &nanotron); err != nil || nanotron.Optimizer.S.LR != 3e-4 || nanotron.Tokens.Steps != steps {
		t.Errorf("%+v, %v", nanotron, err)
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(write("json")), &object); err != nil || object["learning_rate"] != 3e-4 || object["high"] != 4.5e-4 || object["parameters"] != 7e9 {
		t.Errorf("%v, %v", object, err)
	}
	if s := write("megatron"); !strings.Contains(s, "\n    --lr 0.0003\n    --train-iters 333787\n") || !strings.Contains(s, "# law: ln η* = 1 − 0.2·ln N [optimizer]\n") {
		t.Error(s)
	}
	if python, err := exec.LookPath("python3"); err == nil {
		code := strings.Replace(write("huggingface"), "from transformers import TrainingArguments", "", 1)
		path := filepath.Join(t.TempDir(), "x.py")
		if err := os.WriteFile(path, []byte(code+"\nassert ETASTAR == dict(learning_rate=3e-4, max_steps=333787)\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(python, path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	}
	for _, name := range []string{"megatron", "pytorch"} {
		r := rate
		if name == "megatron" {
			r.LR = math.NaN()
		}
		if s, err := snippet.WriteRate(name, r); err == nil {
			t.Errorf("%s: %s", name, s)
		}
	}
	// What is not known is left out.
	for _, name := range snippet.RateFormats() {
		if s, err := snippet.WriteRate(name, snippet.Rate{LR: 1e-5, Low: math.NaN(), High: math.NaN()}); err != nil || strings.Contains(s, "NaN") || strings.Contains(s, "steps") {
			t.Errorf("%s: %s, %v", name, s, err)
		}
	}
	if s, _ := snippet.WriteRate("torchtitan", snippet.Rate{LR: 1e-5}); !strings.Contains(s, "lr = 1.0e-05\n") {
		t.Error(s)
	}
}
