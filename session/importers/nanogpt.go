package importers

import (
	"bytes"
	"fmt"
)

// nanoGPTLog is what nanoGPT prints, also as W&B's output.log keeps it.
var nanoGPTLog = logFormat{
	name:    "nanogpt",
	example: "iter 10: loss 3.4521, time 228.33ms, mfu 107.52%",
	step: func(line []byte) bool {
		_, rest, ok := nanoGPTStep(line)
		return ok && bytes.Contains(rest, lossWord)
	},
	read:  readNanoGPT,
	notes: noteNanoGPT,
}

var (
	iterWord = []byte("iter ")
	stepWord = []byte("step ")
	lossWord = []byte("loss ")
)

// nanoGPTStep reads "iter 10:" or "step 200:", after a mark of the rank or the
// time that a launcher puts before.
func nanoGPTStep(line []byte) (step float64, rest []byte, ok bool) {
	const longest = 64
	for _, word := range [...][]byte{iterWord, stepWord} {
		i := 0
		if !bytes.HasPrefix(line, word) {
			if i = bytes.Index(line[:min(len(line), longest)], word); i <= 0 || line[i-1] != ' ' && line[i-1] != ':' && line[i-1] != ']' {
				continue
			}
		}
		if step, rest, ok = leadingDigits(line[i+len(word):]); ok && len(rest) > 0 && rest[0] == ':' {
			return step, rest[1:], true
		}
	}
	return 0, nil, false
}

func readNanoGPT(s *series, line []byte) {
	step, rest, ok := nanoGPTStep(line)
	if !ok {
		if s.rows == 0 {
			readNanoGPTConfig(s, line)
		}
		return
	}
	if !bytes.Contains(rest, lossWord) {
		return
	}
	for field := range bytes.SplitSeq(rest, []byte{','}) {
		field = bytes.TrimSpace(field)
		i := bytes.LastIndexByte(field, ' ')
		if i <= 0 || i > 40 {
			continue
		}
		v, unit, ok := leadingNumeral(field[i+1:])
		name := bytes.TrimSpace(field[:i])
		switch {
		case !ok:
		case string(unit) == "%" && v < 0:
			// -100%, until the first of them is measured
		case string(unit) == "ms":
			s.cells = append(s.cells, sample{column: s.unitColumn(name, " (ms)"), v: v})
		default:
			s.cells = append(s.cells, sample{column: s.columnOf(name), v: v})
		}
	}
	if len(s.cells) > 0 {
		s.put(step)
	}
}

// nanoGPTSettings are those that a choice of learning rate depends on.
var nanoGPTSettings = []string{
	"learning_rate", "min_lr", "max_iters", "lr_decay_iters", "warmup_iters", "batch_size", "block_size",
	"gradient_accumulation_steps", "n_layer", "n_head", "n_embd", "weight_decay", "beta1", "beta2", "grad_clip", "dropout",
}

var (
	overridingWord = []byte("Overriding: ")
	tokensWord     = []byte("tokens per iteration will be: ")
	paramsWord     = []byte("number of parameters: ")
)

// readNanoGPTConfig reads what is printed before the first step: the
// configuration file, what the command line overrides, and the model's size.
func readNanoGPTConfig(s *series, line []byte) {
	if rest, ok := bytes.CutPrefix(line, tokensWord); ok {
		if v, style, ok := parseCell(bytes.TrimSpace(rest), false); ok && style != 0 {
			s.configure("tokens_per_iter", fmt.Sprintf("%.0f", v))
		}
		return
	}
	if rest, ok := bytes.CutPrefix(line, paramsWord); ok {
		if v, style, ok := parseCell(bytes.TrimSpace(rest), false); ok && style != 0 {
			s.configure("parameters", fmt.Sprintf("%.0f", v))
		}
		return
	}
	line = bytes.TrimPrefix(line, overridingWord)
	if name, value, ok := assignment(line, nanoGPTSettings); ok {
		if name == "batch_size" {
			name = "micro_batch_size" // what it is: a forward pass's
		}
		s.configure(name, value)
	}
}

// noteNanoGPT says how steps become tokens.
func noteNanoGPT(s *series) {
	if tokens, ok := s.configured("tokens_per_iter"); ok {
		s.note("a step is %.0f tokens: D=step*%.0f counts tokens", tokens, tokens)
	}
}
