package importers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etastar/etastar/session/table"
)

// sniffTrainerState recognises the trainer_state.json of Hugging Face's Trainer.
func sniffTrainerState(head []byte) int {
	if sniffJSON(head) == 0 {
		return 0
	}
	for _, key := range []string{`"log_history"`, `"global_step"`, `"step"`} {
		if !bytes.Contains(head, []byte(key)) {
			return 0
		}
	}
	return 95
}

// stateReader reads a trainer_state.json as it comes.
type stateReader struct {
	*series
	in      *window
	parser  jsonParser
	line    int
	about   []string
	words   []string // keys with text
	history bool
}

// Of the values beside the history these are settings, the others' results.
var (
	stateSettings = []string{"max_steps", "num_train_epochs"}
	stateResults  = []string{"best_metric", "train_batch_size", "total_flos", "num_input_tokens_seen"}
)

// scanTrainerState reads the log history of Hugging Face's Trainer: a row a step,
// with what was evaluated at the step beside the training loss. A file cut off is
// read up to there.
func scanTrainerState(j *job) error {
	r := &stateReader{series: newSeries(j), in: j.in, line: 1}
	err := r.scan()
	var damage *stateError
	if errors.As(err, &damage) && r.rows > 0 {
		j.damaged(err)
		err = nil
	}
	if err != nil {
		return err
	}
	r.in.f.damage = 0 // its value ended before
	if !r.history {
		return errors.New("there is no list log_history in it")
	}
	if len(r.about) > 0 {
		r.note("the trainer says %s", strings.Join(r.about, ", "))
	}
	if len(r.words) > 0 {
		r.note("values that are no numbers are left out: %s", some(r.words))
	}
	r.finish()
	return nil
}

// stateError is damage at a line.
type stateError struct {
	line int
	err  error
}

func (e *stateError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// take parses at the start of what is not read yet, reading more until it is
// whole, and consumes it. What the parser holds is valid until the next take.
func (r *stateReader) take(parse func(p *jsonParser) error) error {
	for {
		b := r.in.rest()
		p := &r.parser
		p.b, p.pos = b, 0
		p.path, p.text, p.leaves, p.lists, p.long = p.path[:0], p.text[:0], p.leaves[:0], p.lists[:0], p.long[:0]
		err := parse(p)
		if err == nil {
			r.series.line = r.line + bytes.Count(b[:len(b)-len(spaceOnly(b))], []byte{'\n'})
			r.line += bytes.Count(b[:p.pos], []byte{'\n'})
			r.in.skip(p.pos)
			return nil
		}
		var je *jsonError
		short := errors.Is(err, errShort) || errors.As(err, &je) && len(b)-je.at < maxShown
		if !short || r.in.eof {
			line := r.line
			if errors.As(err, &je) {
				line += bytes.Count(b[:je.at], []byte{'\n'})
			} else {
				err = errors.New("the file ends within its history")
			}
			return &stateError{line, err}
		}
		if err := r.in.more(r.line); err != nil {
			if len(b) >= maxRecord {
				return &stateError{r.line, fmt.Errorf("a value is longer than %d MiB", maxRecord>>20)}
			}
			return err
		}
	}
}

// mark takes one of the marks given.
func (r *stateReader) mark(among string) (byte, error) {
	var found byte
	err := r.take(func(p *jsonParser) error {
		c, err := p.peek()
		if err != nil {
			return err
		}
		if strings.IndexByte(among, c) < 0 {
			return p.fail("expected one of %s, found %s", among, p.found())
		}
		found = c
		p.pos++
		return nil
	})
	return found, err
}

func (r *stateReader) scan() error {
	if _, err := r.mark("{"); err != nil {
		return err
	}
	for {
		var key string
		err := r.take(func(p *jsonParser) error {
			c, err := p.peek()
			switch {
			case err != nil:
				return err
			case c == '}':
				p.pos++
				return nil
			case c != '"':
				return p.fail("expected a key in double quotes, found %s", p.found())
			}
			name, err := p.str()
			if err != nil {
				return err
			}
			key = string(name)
			if c, err = p.peek(); err != nil {
				return err
			}
			if c != ':' {
				return p.fail("expected : after the key, found %s", p.found())
			}
			p.pos++
			// The value's first byte says how to read it.
			_, err = p.peek()
			return err
		})
		if err != nil {
			return err
		}
		if rest := r.in.rest(); key == "log_history" && len(rest) > 0 && rest[0] == '[' {
			err = r.entries()
		} else if key != "" {
			err = r.beside(key)
		} else {
			return nil // an empty object, or one that ends with a comma
		}
		if err != nil || r.full {
			return err
		}
		if c, err := r.mark(",}"); err != nil || c == '}' {
			return err
		}
	}
}

// beside reads a value that is not the history.
func (r *stateReader) beside(key string) error {
	err := r.take(func(p *jsonParser) error {
		p.path = append(p.path, key...)
		return p.value(0)
	})
	if err != nil {
		return err
	}
	if len(r.parser.leaves) != 1 || len(r.parser.leaves[0].cell) == 0 {
		return nil
	}
	value := string(r.parser.leaves[0].cell)
	v, _, ok := parseDecimal([]byte(value))
	switch {
	case slices.Contains(stateSettings, key):
		r.configure(key, value)
	case slices.Contains(stateResults, key) && ok && v != 0:
		if key == "train_batch_size" {
			value += " (of a device)"
		}
		r.about = append(r.about, key+" "+value)
	}
	return nil
}

// entries reads the history.
func (r *stateReader) entries() error {
	r.history = true
	if _, err := r.mark("["); err != nil {
		return err
	}
	for first := true; !r.full; first = false {
		if !first {
			if c, err := r.mark(",]"); err != nil || c == ']' {
				return err
			}
		}
		ended := false
		err := r.take(func(p *jsonParser) error {
			c, err := p.peek()
			if err != nil {
				return err
			}
			if ended = first && c == ']'; ended {
				p.pos++
				return nil
			}
			return p.members(0)
		})
		if err != nil || ended {
			return err
		}
		r.entry()
	}
	return nil
}

// entry makes a row of an object of the history, or adds to that of its step.
func (r *stateReader) entry() {
	step := table.Missing
	for _, l := range r.parser.leaves {
		v, rest, ok := leadingNumeral(l.cell)
		switch {
		case len(l.cell) == 0 || len(l.path) == 0:
		case !ok || len(rest) > 0:
			if v, ok := parseWord(l.cell); ok {
				if !table.IsMissing(v) {
					r.cells = append(r.cells, sample{column: r.columnOf(l.path), v: v})
				}
				continue
			}
			if word := strconv.Quote(cut(string(l.path))); len(r.words) < 100 && !slices.Contains(r.words, word) {
				r.words = append(r.words, word)
			}
		case string(l.path) == "step":
			step = v
		default:
			r.cells = append(r.cells, sample{column: r.columnOf(l.path), v: v})
		}
	}
	r.put(step)
}
