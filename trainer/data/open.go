package data

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/trainer/config"
	"github.com/etastar/etastar/trainer/tokenizer"
)

// Formats of files, as config.Data.Format names them.
const (
	formatText     = "text"
	formatJSONL    = "jsonl"
	formatNanoGPT  = "nanogpt"
	formatLLMC     = "llmc"
	formatMegatron = "megatron"
)

// Formats lists them.
var Formats = []string{formatText, formatJSONL, formatNanoGPT, formatLLMC, formatMegatron}

// syntheticSeed makes the language the same for everyone: a run's seed orders the data
// and must not change it.
const syntheticSeed = 1

var (
	errNoSource  = errors.New("no data source: name a file or folder, or use default")
	errNoOpticks = errors.New("open corpus: no Go toolchain with Newton's Opticks was found (GOROOT, PATH and /usr/local/go were searched): use the source synthetic, or a file of your own")
)

// Resolve replaces the source "default" by what it stands for on this machine: the text
// that the Go toolchain ships, else the synthetic language. Name a run only after that.
func Resolve(d config.Data) config.Data {
	if d.Source == "default" {
		d.Source = "opticks"
		if FindOpticks() == "" {
			d.Source = "synthetic"
		}
	}
	return d
}

// Open opens the corpus of a run in blocks of context tokens, whose ids must lie below
// vocab (0: not checked). A corpus whose fingerprint differs from d.Fingerprint, where
// that is set, is refused: it is not the one the run was started on.
func Open(ctx context.Context, d config.Data, context, vocab int) (*Corpus, error) {
	tok := tokenizer.Bytes()
	if d.Tokenizer != "bytes" && d.Tokenizer != "" {
		var err error
		if tok, err = tokenizer.Open(d.Tokenizer); err != nil {
			return nil, err
		}
	}
	o := opener{ctx: ctx, tok: tok, field: cmp.Or(d.Field, "text"), format: d.Format}
	row, info, err := o.source(d)
	if err != nil {
		return nil, err
	}
	rows := []*Row{row}
	c, err := func() (*Corpus, error) {
		if info.Tokens = row.Len(); info.Tokens == 0 {
			return nil, fmt.Errorf("%s is empty", info.Name)
		}
		if info.Vocab > 0 && vocab > 0 && info.Vocab > vocab {
			return nil, fmt.Errorf("the tokenizer (%s) has ids up to %d, and the model's vocabulary is %d: set vocab to %d", tok.Name(), info.Vocab-1, vocab, info.Vocab)
		}
		var validation *Row
		if d.Validation != "" {
			var of Info
			if validation, of, err = o.source(config.Data{Source: d.Validation, Bytes: d.Bytes}); err != nil {
				return nil, fmt.Errorf("validation: %w", err)
			}
			rows = append(rows, validation)
			info.Notes = append(info.Notes, "validated on "+of.Description)
		}
		if info.Fingerprint, err = Fingerprint(ctx, d); err != nil {
			return nil, err
		}
		if d.Fingerprint != "" && d.Fingerprint != info.Fingerprint {
			return nil, fmt.Errorf("%s is not the corpus this run was started on: it has changed; put the old one back, or start a new run", info.Name)
		}
		return newCorpus(row, validation, context, vocab, Split{Part: d.HeldOut, Tail: d.Split == config.Splits[1]}, info)
	}()
	if err != nil {
		for _, r := range rows {
			_ = r.Close()
		}
		return nil, err
	}
	return c, nil
}

type opener struct {
	ctx    context.Context
	tok    *tokenizer.Tokenizer
	field  string
	format string
}

// source reads one source.
func (o *opener) source(d config.Data) (*Row, Info, error) {
	switch d := Resolve(d); d.Source {
	case "":
		return nil, Info{}, errNoSource
	case "synthetic":
		return o.synthetic(cmp.Or(d.Bytes, DefaultSyntheticBytes))
	case "opticks":
		path := FindOpticks()
		if path == "" {
			return nil, Info{}, errNoOpticks
		}
		row, info, err := o.files(path)
		info.Name = "Newton's Opticks"
		info.Description = fmt.Sprintf("Newton's Opticks, %s, from the Go toolchain", size(info.Bytes))
		return row, info, err
	default:
		return o.files(d.Source)
	}
}

func (o *opener) synthetic(n int64) (*Row, Info, error) {
	row := &Row{}
	t := texts{row: row, tok: o.tok}
	if o.tok.IsBytes() {
		row.addBytes(Synthetic(syntheticSeed, n), "synthetic language")
	} else if err := t.document(o.ctx, bytes.NewReader(Synthetic(syntheticSeed, n)), "synthetic language"); err != nil {
		return nil, Info{}, err
	}
	t.flush()
	return row, Info{
		Name: "synthetic language", Description: fmt.Sprintf("synthetic language, not real text, %s", size(n)),
		Bytes: n, Vocab: o.tok.Vocab(), PerByte: float64(row.Len()) / float64(n), Synthetic: true,
	}, nil
}

// one is a file to read.
type one struct {
	path, format string
	size         int64
}

// files reads a file or a folder.
func (o *opener) files(path string) (_ *Row, info Info, err error) {
	list, err := o.list(path)
	if err != nil {
		return nil, Info{}, err
	}
	row := &Row{}
	defer func() {
		if err != nil {
			_ = row.Close()
		}
	}()
	info = Info{Name: filepath.Base(path), Path: path, Files: len(list)}
	t := texts{row: row, tok: o.tok, field: o.field}
	isText := false
	for i, f := range list {
		if err := o.ctx.Err(); err != nil {
			return nil, Info{}, err
		}
		text := f.format == formatText || f.format == formatJSONL
		if i > 0 && text != isText {
			return nil, Info{}, fmt.Errorf("open corpus: %s holds text (%s) and tokens (%s): keep them in folders of their own", path, list[0].path, f.path)
		}
		isText = text
		switch f.format {
		case formatNanoGPT:
			err = row.addNanoGPT(f.path)
		case formatLLMC:
			err = row.addLLMC(f.path)
		case formatMegatron:
			err = row.addMegatron(f.path)
		default:
			err = t.addFile(o.ctx, f.path, f.format)
		}
		if err != nil {
			return nil, Info{}, err
		}
		info.Bytes += f.size
	}
	files := ""
	if len(list) > 1 {
		files = fmt.Sprintf(" in %d files", len(list))
	}
	if !isText {
		info.Description = fmt.Sprintf("%s: %d tokens%s", info.Name, row.Len(), files)
		return row, info, nil
	}
	t.flush()
	info.Bytes, info.Vocab = t.bytes, o.tok.Vocab()
	if t.bytes > 0 {
		info.PerByte = float64(row.Len()) / float64(t.bytes)
	}
	info.Description = fmt.Sprintf("%s, %s of text%s", info.Name, size(t.bytes), files)
	if t.bad > 0 {
		info.Notes = append(info.Notes, fmt.Sprintf("%d lines without a text %q were left out", t.bad, o.field))
	}
	return row, info, nil
}

// maxFiles bounds a folder: beyond it the wrong one was named.
const maxFiles = 200_000

// list finds the files to read and their formats, in the order of their names.
func (o *opener) list(path string) ([]one, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Stat(path + ".idx"); e == nil { // Megatron names a corpus without its ending
			return o.list(path + ".idx")
		}
		return nil, fmt.Errorf("open corpus: there is no %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open corpus: %w", err)
	}
	if !info.IsDir() {
		f, err := o.sniff(path, info.Size())
		return []one{f}, err
	}
	var out []one
	err = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if strings.HasPrefix(name, ".") && p != path {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".txt", ".text", ".jsonl", ".bin"}, strings.ToLower(filepath.Ext(name))) {
			return nil
		}
		info, err := os.Stat(p) // a link counts as what it leads to
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		if len(out) == maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		f, err := o.sniff(p, info.Size())
		out = append(out, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open corpus %s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("open corpus: the folder %s has no .txt, .jsonl or .bin files", path)
	}
	return out, nil
}

// sniff finds out the format of a file.
func (o *opener) sniff(path string, length int64) (one, error) {
	f := one{path: path, size: length, format: o.format}
	if f.format != "" {
		if !slices.Contains(Formats, f.format) {
			return f, fmt.Errorf("format %q is none of %s", f.format, strings.Join(Formats, ", "))
		}
		return f, nil
	}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".jsonl":
		f.format = formatJSONL
	case ".idx":
		f.format = formatMegatron
	case ".bin":
		f.format = formatNanoGPT
		if b, err := head(strings.TrimSuffix(path, ".bin")+".idx", len(megatronMagic)); err == nil && string(b) == megatronMagic {
			f.format = formatMegatron
		} else if b, err := head(path, 4); err == nil && len(b) == 4 {
			if m := binary.LittleEndian.Uint32(b); m == tokenizer.Magic16 || m == tokenizer.Magic32 {
				f.format = formatLLMC
			}
		}
	default:
		f.format = formatText
		b, err := head(path, 1<<12)
		if err != nil {
			return f, fmt.Errorf("open corpus: %w", err)
		}
		if ext != ".txt" && bytes.IndexByte(b, 0) >= 0 {
			return f, fmt.Errorf("open corpus: %s is a binary file; tokens are read from .bin, or say which format it has (%s)", path, strings.Join(Formats, ", "))
		}
	}
	return f, nil
}

// head reads the beginning of a file.
func head(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, int64(n)))
}
