package importers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/importers/sqlite"
	"github.com/etastar/etastar/session/table"
)

// MLflow keeps a run as a directory: meta.yaml, a file a parameter in params, a file
// a tag in tags, and in metrics a file a metric with a line for each value, "time
// value step". Names with a slash are in directories below.
const mlflowMeta = "meta.yaml"

// mlflowDirs are beside meta.yaml in the directory of a run.
var mlflowDirs = []string{"metrics", "params", "tags"}

// mlflowStatus are the states of a run by their number in meta.yaml.
var mlflowStatus = []string{"", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}

// maxSmallFile bounds the file of a parameter.
const maxSmallFile = 64 << 10

// mlflowRun takes a directory that is a run of MLflow, and reports whether it is.
func (f *finder) mlflowRun(rel string, dirs []string) bool {
	if !slices.Contains(dirs, "metrics") || !slices.Contains(dirs, "params") {
		return false
	}
	if info, err := os.Stat(filepath.Join(f.root, rel, mlflowMeta)); err != nil || !info.Mode().IsRegular() {
		return false
	}
	r := runFiles{name: runName(f.root, rel), mlflow: true, config: []string{filepath.Join(rel, mlflowMeta)}}
	sizes := map[string]int64{}
	for _, dir := range mlflowDirs {
		list := &r.config
		if dir == "metrics" {
			list = &r.history
		}
		f.walk(filepath.Join(rel, dir), 0, func(path string, size int64) {
			*list = append(*list, path)
			if name, err := filepath.Rel(rel, path); err == nil && dir == "metrics" {
				sizes[name] = size
			}
		})
	}
	f.add(rel, r, sizes)
	return true
}

// walk calls each for the files in and below a directory.
func (f *finder) walk(rel string, depth int, each func(path string, size int64)) {
	entries, err := f.list(rel)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.leave(rel, err)
		}
		return
	}
	for _, e := range entries {
		path := filepath.Join(rel, e.Name())
		switch {
		case e.IsDir() && depth < maxDepth:
			f.walk(path, depth+1, each)
		case e.Type().IsRegular():
			if info, err := e.Info(); err == nil {
				each(path, info.Size())
			}
		}
	}
}

// readMLflow reads the files of a run of MLflow.
func readMLflow(ctx context.Context, root string, files runFiles, report *progress) run {
	r := run{name: files.name}
	under := func(path string) (dir, name string) {
		rel, err := filepath.Rel(filepath.Dir(files.config[0]), path)
		if err != nil {
			return "", path
		}
		dir, name, _ = strings.Cut(filepath.ToSlash(rel), "/")
		return dir, name
	}
	named := ""
	for i, path := range files.config {
		dir, name := under(path)
		switch {
		case i == 0:
			var deleted bool
			if named, deleted = r.mlflowMeta(ctx, filepath.Join(root, path)); deleted {
				r.err = errors.New("it was deleted in MLflow")
				return r
			}
		case dir == "tags" && name == "mlflow.runName" && named == "":
			named, _ = smallFile(filepath.Join(root, path))
		case dir == "params":
			value, err := smallFile(filepath.Join(root, path))
			if err != nil {
				r.notes = append(r.notes, fmt.Sprintf("params/%s: %v", name, err))
			} else if value != "" {
				r.config = append(r.config, wordCell(cleanName(name), value))
			}
		}
	}
	if named != "" {
		r.config = append(r.config, cell{name: "run_name", word: named, isText: true})
	}
	var m mlflowMetrics
	count := report.file()
	read := int64(0)
	for _, path := range files.history {
		if ctx.Err() != nil {
			break
		}
		_, name := under(path)
		content, err := readAtMost(filepath.Join(root, path), maxRecord)
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("metrics/%s: %v", name, underlying(err)))
			continue
		}
		if read += int64(len(content)); count != nil {
			count(read, read)
		}
		m.file(cleanName(name), content)
	}
	if len(m.names) == 0 {
		r.err = errors.New("it has no metrics")
		return r
	}
	r.history, r.step = m.table()
	r.notes = append(r.notes, m.notes...)
	return r
}

// mlflowMeta takes the run's name and state from meta.yaml.
func (r *run) mlflowMeta(ctx context.Context, path string) (name string, deleted bool) {
	t, err := (&job{path: path, asPart: true, record: true, opts: Options{Format: "yaml"}}).read(ctx, chunkSize)
	if err != nil || t.Rows != 1 {
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("%s: %v", mlflowMeta, err))
		}
		return "", false
	}
	for _, c := range cellsOf(t) {
		switch c.name {
		case "run_name":
			name = c.word
			if !c.isText {
				name = table.FormatNumber(c.value)
			}
		case "status":
			word := c.word
			if !c.isText && c.value > 0 && c.value < float64(len(mlflowStatus)) {
				word = mlflowStatus[int(c.value)]
			}
			if word != "" {
				r.config = append(r.config, cell{name: "status", word: word, isText: true})
			}
		case "lifecycle_stage":
			deleted = c.word == "deleted"
		}
	}
	return name, deleted
}

// wordCell is a cell of what was written: a number if it is one.
func wordCell(name, value string) cell {
	if v, style, ok := parseCell([]byte(value), false); ok && style&^(styleInteger|stylePoint) == 0 && !table.IsMissing(v) {
		return cell{name: name, value: v, last: v}
	}
	return cell{name: name, word: strings.ToValidUTF8(value, "�"), isText: true}
}

func smallFile(path string) (string, error) {
	b, err := readAtMost(path, maxSmallFile)
	if err != nil {
		return "", underlying(err)
	}
	return strings.TrimSpace(string(b)), nil
}

// readAtMost reads a file that is not larger than most.
func readAtMost(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("the file is larger than %d bytes", most)
	}
	return os.ReadFile(path)
}

// mlflowValue is a value of a metric.
type mlflowValue struct{ step, value float64 }

// mlflowMetrics are the metrics of a run, in order.
type mlflowMetrics struct {
	names  []string
	values [][]mlflowValue
	notes  []string
}

func (m *mlflowMetrics) add(name string, v mlflowValue) {
	k := slices.Index(m.names, name)
	if k < 0 {
		k = len(m.names)
		m.names, m.values = append(m.names, name), append(m.values, nil)
	}
	m.values[k] = append(m.values[k], v)
}

// file reads the lines of a metric. Older versions wrote no step.
func (m *mlflowMetrics) file(name string, content []byte) {
	bad, count := 0, 0
	for line := range bytes.Lines(content) {
		fields := bytes.Fields(line)
		if line[len(line)-1] != '\n' {
			m.notes = append(m.notes, fmt.Sprintf("metrics/%s: the last line is not complete and left out", name))
			break
		}
		if len(fields) < 2 {
			bad++
			continue
		}
		v, _, ok := parseDecimal(fields[1])
		if !ok {
			v, ok = parseWord(fields[1])
		}
		step := float64(count)
		if len(fields) > 2 && ok {
			step, _, ok = parseDecimal(fields[2])
		}
		if !ok {
			bad++
			continue
		}
		count++
		m.add(name, mlflowValue{step, v})
	}
	if bad > 0 {
		m.notes = append(m.notes, fmt.Sprintf("metrics/%s: %s without a value left out", name, plural(bad, "line")))
	}
}

// table makes a row a step. Of values logged again at a step the last counts.
func (m *mlflowMetrics) table() (*table.Table, *table.Column) {
	var steps []float64
	var same []string
	for k, list := range m.values {
		if len(list) > 1 && !slices.ContainsFunc(list, func(v mlflowValue) bool { return v.step != list[0].step }) {
			// log_metric without a step calls all of them 0.
			for i := range list {
				list[i].step = float64(i)
			}
			same = append(same, fmt.Sprintf("%q", cut(m.names[k])))
		}
		for _, v := range list {
			steps = append(steps, v.step)
		}
	}
	if len(same) > 0 {
		m.notes = append(m.notes, "logged without steps, which are counted instead: "+some(same))
	}
	slices.Sort(steps)
	values := len(steps)
	steps = slices.Compact(steps)
	step := &table.Column{Name: "step", Numbers: steps}
	t := &table.Table{Rows: len(steps), Columns: []*table.Column{step}}
	// A metric for each step would make a table as large as the square of the values.
	most := (sparse + 64*values) / max(1, len(steps))
	if n := len(m.names) - most; n > 0 {
		m.notes = append(m.notes, fmt.Sprintf("%d metrics are left out: there are as many as steps, and each at few of them", n))
	}
	for k, name := range m.names[:min(most, len(m.names))] {
		if name == "step" {
			name = "step_"
		}
		c := &table.Column{Name: name, Numbers: slices.Repeat([]float64{table.Missing}, len(steps))}
		for _, v := range m.values[k] {
			at, _ := slices.BinarySearch(steps, v.step)
			c.Numbers[at] = v.value
		}
		t.Columns = append(t.Columns, c)
	}
	return t, step
}

// mlflow reads the runs of a tracking database of MLflow, with their curves.
func (d *database) mlflow() error {
	type tracked struct {
		run     run
		metrics mlflowMetrics
	}
	var list []*tracked
	byID := map[string]*tracked{}
	deleted := 0
	err := d.each("runs", []string{"run_uuid", "name", "status", "lifecycle_stage"}, func(v []sqlite.Value) {
		if string(v[3].Bytes) == "deleted" {
			deleted++
			return
		}
		id := string(v[0].Bytes)
		t := &tracked{run: run{name: id}}
		if name := string(v[1].Bytes); name != "" {
			t.run.config = append(t.run.config, cell{name: "run_name", word: name, isText: true})
		}
		if status := string(v[2].Bytes); status != "" {
			t.run.config = append(t.run.config, cell{name: "status", word: status, isText: true})
		}
		byID[id] = t
		list = append(list, t)
	})
	if err == nil {
		err = d.each("params", []string{"run_uuid", "key", "value"}, func(v []sqlite.Value) {
			if t := byID[string(v[0].Bytes)]; t != nil {
				t.run.config = append(t.run.config, wordCell(cleanName(string(v[1].Bytes)), string(v[2].Append(nil))))
			}
		})
	}
	if err == nil {
		err = d.each("metrics", []string{"run_uuid", "key", "value", "step", "is_nan"}, func(v []sqlite.Value) {
			t := byID[string(v[0].Bytes)]
			value, ok := v[2].Number()
			if t == nil || !ok {
				return
			}
			switch {
			case v[4].Int != 0:
				value = math.NaN()
			case math.Abs(value) >= mlflowInfinity:
				value = math.Inf(int(math.Copysign(1, value)))
			}
			step, _ := v[3].Number()
			t.metrics.add(cleanName(string(v[1].Bytes)), mlflowValue{step, value})
		})
	}
	if len(list) == 0 {
		return errors.Join(err, errors.New("the MLflow database has no runs"))
	}
	if err != nil && !errors.Is(err, sqlite.ErrDamaged) {
		return err
	}
	d.job.runs = func(*table.Table) []run {
		runs := make([]run, len(list))
		for i, t := range list {
			runs[i] = t.run
			if len(t.metrics.names) > 0 {
				runs[i].history, runs[i].step = t.metrics.table()
				runs[i].notes = append(runs[i].notes, t.metrics.notes...)
			}
		}
		return runs
	}
	if deleted > 0 && d.job.first {
		d.job.cols.note("%s deleted in MLflow left out", plural(deleted, "run"))
	}
	for i := range list {
		d.cell(nameColumn, sqlite.Value{Kind: sqlite.Text, Bytes: []byte(list[i].run.name)})
		if err := d.put(i + 1); err != nil {
			return err
		}
	}
	return err
}

// mlflowInfinity is what MLflow writes for infinity, which not every database has.
const mlflowInfinity = 1.7976931348623157e308
