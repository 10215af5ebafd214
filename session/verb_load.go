package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/etastar/etastar/session/importers"
	"github.com/etastar/etastar/session/table"
)

func roleParam(role table.Role, doc, unit string) Param {
	return Param{Name: string(role), Doc: doc, Unit: unit, Column: true, Expr: true}
}

func loadVerb() *Verb {
	return &Verb{
		Name:    "load",
		Summary: "read a sweep from a file or a folder of runs",
		Doc: "Reads tables (CSV, TSV, JSON lines, Markdown, Parquet, SQLite; exports of W&B and Ray Tune; databases of Optuna and MLflow; summaries of OpenCompass), training logs (W&B, TensorBoard, Hugging Face Trainer, Megatron-LM, " +
			"nanoGPT, llm.c) and folders of runs (of MLflow too), found by content; text compressed with gzip is read as it is. It finds the columns for N, D, learning rate, " +
			"batch and loss by their usual names and says what it took for what; a parameter overrides that with another column or with an " +
			"expression over columns. Blank cells are unknown; NaN and inf in the loss mean that the run diverged. " +
			"A folder of runs becomes a table with a row for each: its configuration, and of its curve what final= says.",
		Example: `runs = load "sweep.csv" loss="val loss" batch=bs*2048`,
		Result:  "table",
		Params: []Param{
			{Name: "file", Doc: "the file or folder, from the notebook's folder", File: true, Position: true, Required: true},
			roleParam(table.RoleN, "parameters of the model", ""),
			roleParam(table.RoleD, "training tokens", ""),
			roleParam(table.RoleLR, "peak learning rate", ""),
			roleParam(table.RoleBatch, "tokens per optimizer step", ""),
			roleParam(table.RoleLoss, "final loss", ""),
			roleParam(table.RoleFLOPs, "training FLOPs", ""),
			{Name: "final", Doc: "what counts as a run's final loss where its curve is there: the last value, the mean of the last ones, the lowest, or the last validation loss", Words: importers.Finals()},
			{Name: "window", Doc: "logged values that final=smoothed averages", Number: &NumberSpec{Min: 1, Max: 1e6, Integer: true}},
			{Name: "unfinished", Doc: "the loss of runs that ended before the steps they planned: the last one logged, or the end of their curve as predicted from it, with an interval", Words: []string{"logged", "predicted"}, Default: "logged"},
			{Name: "name", Doc: "a pattern that takes values out of the runs' names, such as \"lr{lr}_bs{batch}\"; … stands for anything", String: true},
			{Name: "format", Doc: "read the file as this format instead of finding it by content", Words: importers.Formats()},
			{Name: "ragged", Doc: "several rows in succession with too many or too few fields: an error that names the line, or left out and counted, as a single one always is", Words: []string{"error", "skip"}, Default: "error"},
			{Name: "table", Doc: "which table of a Markdown file or a database, from 1", Number: &NumberSpec{Min: 1, Max: 1e6, Integer: true}},
		},
		whereResult: true,
		fingerprint: func(c *Call) string { return sourcePrint(c.Ctx, c.path(c.Text("file"))) },
		run:         runLoad,
	}
}

// path resolves a file name of the notebook.
func (c *Call) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

// filePrint changes when the file does.
func filePrint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "absent"
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}

// sourcePrint changes when a file does, or what would be read of a folder.
func sourcePrint(ctx context.Context, path string) string {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return filePrint(path)
	}
	print, err := importers.Fingerprint(ctx, path)
	if err != nil {
		return err.Error()
	}
	return print
}

func runLoad(c *Call) (Value, error) {
	name := c.Text("file")
	predicted := c.Text("unfinished") == "predicted"
	options := importers.Options{
		Format: c.Text("format"), Ragged: c.Text("ragged") == "skip", Table: int(c.Number("table")), Progress: c.progress,
		Final: c.Text("final"), Window: int(c.Number("window")),
	}
	var t *table.Table
	var err error
	if predicted {
		var r *importers.Runs
		if r, err = importers.ReadRuns(c.Ctx, c.path(name), options); err == nil {
			if len(r.Planned) == 0 {
				return nil, errParam{"unfinished", errors.New("ends are predicted of runs, and these rows are none: a folder of runs, or a log with final=last")}
			}
			t = predictEnds(r)
		}
	} else {
		t, err = importers.Read(c.Ctx, c.path(name), options)
	}
	if err != nil {
		if _, serr := os.Stat(c.path(name)); errors.Is(serr, fs.ErrNotExist) {
			return nil, errParam{"file", hinted{fmt.Errorf("load %q: there is no such file", name), nearFiles(c.Dir, name)}}
		}
		if c.Ctx.Err() != nil {
			return nil, c.Ctx.Err()
		}
		// The file is named as the notebook names it.
		return nil, errParam{"file", errors.New("load " + strings.Replace(err.Error(), c.path(name), name, 1))}
	}
	t = withScoreIntervals(t)
	if c.Given("name") {
		if t, err = importers.Lift(t, "", c.Text("name")); err != nil {
			return nil, errParam{"name", err}
		}
	}
	roles := map[table.Role]string{}
	for _, r := range table.AllRoles() {
		if c.Given(string(r)) {
			roles[r] = c.Text(string(r))
		}
	}
	assigned, err := table.Assign(t, roles)
	if err != nil {
		for role := range roles {
			if strings.HasPrefix(err.Error(), string(role)+": ") {
				return nil, errParam{string(role), err}
			}
		}
		return nil, err
	}
	c.Note(assigned.Notes...)
	return Table{assigned}, nil
}

// nearFiles says where a file was looked for and what has a similar name there.
func nearFiles(dir, name string) string {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(dir, name)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "looked in " + filepath.Dir(path) + ", which cannot be read"
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if w := nearestWord(filepath.Base(path), names); w != "" {
		return fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(name), w))
	}
	return "looked in " + filepath.Dir(path)
}
