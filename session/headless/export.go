package headless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/session/export"
	"github.com/etastar/etastar/trainer/atomicfile"
)

// Export computes a notebook and writes it with its results. The pictures it names
// are not written: export makes the one file that it was asked for.
type Export struct {
	Path     string
	Format   string // "html", "md", "csv", "parquet", "json" or "snippet"
	Trainer  string // for "snippet": one of export.Trainers
	Value    string // the value to write: as CSV, Parquet or a snippet, or its rows as JSON
	Output   string // file to write; "" or "-": Out
	Out, Err io.Writer
	Timeout  time.Duration // 0: none
}

// Do exports the notebook and returns the exit code: that of running it, unless the
// output cannot be made. A notebook in which something failed is written all the
// same and says so; a value that failed is not.
func (e Export) Do(ctx context.Context) int {
	if err := e.usage(); err != nil {
		say(e.Err, err.Error())
		return Usage
	}
	n, code := open(e.Path, session.Options{ReadOnly: true}, e.Err)
	if n == nil {
		return code
	}
	defer n.close()
	if err := e.replaces(n.s); err != nil {
		say(e.Err, err.Error())
		return Usage
	}
	if n.wait(ctx, e.Timeout) {
		say(e.Err, "interrupted")
		return Failed
	}
	code = n.judge()
	// The output is whole or absent: nothing is written before everything is made.
	var b bytes.Buffer
	if err := e.render(&b, n.s); err != nil {
		say(e.Err, err.Error())
		var no *export.NoValue
		if errors.As(err, &no) {
			return worse(code, Usage)
		}
		return worse(code, Failed)
	}
	if err := e.write(b.Bytes()); err != nil {
		say(e.Err, err.Error())
		return Environment
	}
	return code
}

// usage refuses what cannot be meant before anything is computed.
func (e Export) usage() error {
	switch e.Format {
	case "html", "md":
		if e.Value != "" {
			return fmt.Errorf("only CSV, Parquet, JSON and snippets write a single value: export it with one of them, or leave %q out", e.Value)
		}
	case "csv", "parquet", "json":
	case "snippet":
		if !slices.Contains(export.Trainers(), e.Trainer) {
			return fmt.Errorf("snippet %q: there are %s", e.Trainer, strings.Join(export.Trainers(), ", "))
		}
	default:
		return fmt.Errorf("format %q: there are html, md, csv, parquet, json and snippet", e.Format)
	}
	return nil
}

func (e Export) render(w *bytes.Buffer, s *session.Session) error {
	switch e.Format {
	case "html":
		return export.HTML(w, s)
	case "md":
		return export.Markdown(w, s)
	case "json":
		if e.Value != "" {
			return export.JSONRows(w, s, e.Value)
		}
		return export.JSON(w, s)
	case "snippet":
		return export.Snippet(w, s, e.Value, e.Trainer)
	case "parquet":
		return export.Parquet(w, s, e.Value)
	}
	return export.CSV(w, s, e.Value)
}

func (e Export) write(data []byte) error {
	if e.Output == "" || e.Output == "-" {
		if _, err := e.Out.Write(data); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		return nil
	}
	path, err := filepath.Abs(e.Output)
	if err != nil {
		return fmt.Errorf("write %q: %w", e.Output, err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays a link
	}
	return atomicfile.Write(path, data, nil)
}
