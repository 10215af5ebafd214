package huggingface

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/rundir"
)

// What stands beside a model is what its programs can parse, and names the model.
func TestEvaluationFiles(t *testing.T) {
	run := rundir.Summary{Config: config.Default(config.Dense(64, 2, 256, 128), 3e-3)}
	dir := t.TempDir()
	for name, text := range map[string]string{openCompassFile: openCompass(run, rundir.Checkpoint{Step: 100}), serveFile: lmDeploy(run)} {
		if !strings.Contains(text, run.Config.Name()) || !strings.Contains(text, "128") {
			t.Errorf("%s: %s", name, text)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args := map[string][]string{openCompassFile: {"python3", "-m", "py_compile", path}, serveFile: {"sh", "-n", path}}[name]
		if _, err := exec.LookPath(args[0]); err != nil {
			continue
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
