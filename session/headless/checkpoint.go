package headless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/huggingface"
	"github.com/etastar/etastar/trainer/rundir"
)

// LastStep stands for the last checkpoint there is.
const LastStep = -1

// ExportCheckpoint writes a checkpoint of a run as a Hugging Face model directory.
type ExportCheckpoint struct {
	Run      string // its directory, or a folder that holds no other run
	Output   string // directory to write
	Step     int64  // of the checkpoint; LastStep
	DType    string // of huggingface.DTypes
	Force    bool   // replace an earlier export
	Program  string // name and version of the program, for the model card
	Out, Err io.Writer
}

// Do writes the directory, says what is in it and returns the exit code: Usage for an
// output that is taken and for a run or a step that is not there, Failed for a run
// without checkpoints and for one that transformers cannot compute.
func (e ExportCheckpoint) Do(ctx context.Context) int {
	fail := func(code int, err error) int {
		say(e.Err, err.Error())
		return code
	}
	if e.Output == "" {
		return fail(Usage, errors.New("export: name the folder to write with -o"))
	}
	list, err := runsBelow(e.Run)
	switch {
	case err != nil:
		return fail(Environment, err)
	case len(list) == 0:
		return fail(Usage, errors.New("export: there is no run in "+e.Run))
	case len(list) > 1:
		return fail(Usage, fmt.Errorf("export: %s holds %s: name one of them, such as %s", e.Run, number.Plural(len(list), "run", "runs"), list[0].Dir))
	}
	run := list[0]
	if run.Problem != "" {
		return fail(Environment, fmt.Errorf("export %s: %s", run.Dir, run.Problem))
	}
	c, ok := rundir.Latest(run.Dir)
	if !ok {
		return fail(Failed, fmt.Errorf("export: %s has no checkpoint: train it first, or wait until it has one", run.Dir))
	}
	if e.Step != LastStep {
		if c, err = rundir.CheckpointAt(run.Dir, e.Step); err != nil {
			return fail(Usage, fmt.Errorf("export: %w: there are those of step %s", err, steps(run.Dir)))
		}
	}
	dtype := huggingface.DType(e.DType)
	err = huggingface.Export(ctx, run, c, e.Output, huggingface.Options{DType: dtype, Force: e.Force, Program: e.Program})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return fail(Failed, errors.New("interrupted"))
	case errors.Is(err, huggingface.ErrOccupied), errors.Is(err, huggingface.ErrDType):
		return fail(Usage, err)
	case errors.Is(err, huggingface.ErrUnsupported):
		return fail(Failed, err)
	default:
		return fail(Environment, err)
	}
	fmt.Fprintf(e.Out, "%s: %s, step %s of %s\n", e.Output, run.Config.Name(), number.Count(int(c.Step)), number.Count(int(stepsOf(run))))
	return OK
}

// steps lists a run's checkpoints.
func steps(dir string) string {
	var out []string
	for _, c := range rundir.Checkpoints(dir) {
		out = append(out, fmt.Sprint(c.Step))
	}
	return strings.Join(out, ", ")
}
