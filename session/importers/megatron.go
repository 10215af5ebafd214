package importers

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// megatronLog is the output of Megatron-LM and Megatron-DeepSpeed: of every rank,
// often with the batch system's own, so that thousands of lines hold no step.
var megatronLog = logFormat{
	name:    "megatron",
	example: " iteration 10/ 1000 | learning rate: 1.500E-04 | lm loss: 8.841090E+00 |",
	step:    func(line []byte) bool { return iteration(line) >= 0 },
	read:    readMegatron,
	notes:   noteMegatron,
}

var iterationWord = []byte("iteration ")

// iteration finds "iteration 10/ 1000 |" in a line: where its step begins, or -1.
// Other output may stand before it, as ranks write at once.
func iteration(line []byte) int {
	for from := 0; ; {
		i := bytes.Index(line[from:], iterationWord)
		if i < 0 {
			return -1
		}
		from += i + len(iterationWord)
		at := from + spacesIn(line[from:])
		_, rest, ok := leadingDigits(line[at:])
		if !ok {
			continue
		}
		if rest = rest[spacesIn(rest):]; len(rest) > 0 && rest[0] == '/' && bytes.IndexByte(rest, '|') >= 0 {
			return at
		}
	}
}

func spacesIn(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " ")) }

var (
	validationWord = []byte("validation loss at ")
	parametersWord = []byte("parameters")
)

func readMegatron(s *series, line []byte) {
	if at := iteration(line); at >= 0 {
		for at >= 0 {
			next := iteration(line[at:])
			end := len(line)
			if next >= 0 {
				next += at
				end = next
			}
			readIteration(s, line[at:end])
			at = next
		}
		return
	}
	if i := bytes.Index(line, validationWord); i >= 0 {
		readValidation(s, line[i+len(validationWord):])
		return
	}
	if bytes.Contains(line, parametersWord) {
		readParameters(s, line)
	}
	if s.rows == 0 {
		readArgument(s, line)
	}
}

// readIteration reads "10/ 1000 | name: value | … |". What a rank wrote after
// the last bar is not of the step.
func readIteration(s *series, line []byte) {
	step, rest, _ := leadingDigits(line)
	head, rest, _ := bytes.Cut(rest, []byte{'|'})
	if !s.counted {
		s.counted = true
		_, known := s.configured("train_iters")
		if total, _, ok := leadingDigits(bytes.TrimLeft(head, " /")); ok && !known {
			s.configure("train_iters", strconv.FormatFloat(total, 'f', -1, 64))
		}
	}
	for {
		field, more, ok := bytes.Cut(rest, []byte{'|'})
		if !ok || !s.field(nil, field) {
			break
		}
		rest = more
	}
	s.put(step)
}

// field adds "name: value" or "name value" to the record. A name without a value
// is none of the log's if no colon marks it.
func (s *series) field(prefix, field []byte) bool {
	const longest = 80
	field = bytes.TrimSpace(field)
	i := bytes.LastIndexByte(field, ':')
	colon := i >= 0
	if !colon {
		i = bytes.LastIndexByte(field, ' ')
	}
	if i <= 0 || i > longest {
		return false
	}
	v, rest, ok := leadingNumeral(bytes.TrimSpace(field[i+1:]))
	if !ok {
		return colon
	}
	// Some forks log the mean after the value, "5837.9/5712.3".
	if len(rest) > 0 && rest[0] != '/' {
		return colon
	}
	name := bytes.TrimSpace(field[:i])
	if prefix != nil {
		name = append(bytes.Clone(prefix), bytes.TrimSuffix(name, []byte(" value"))...)
	}
	s.cells = append(s.cells, sample{column: s.columnOf(name), v: v})
	return true
}

// readValidation reads "iteration 1000 | lm loss value: 2.9E+00 | lm loss PPL: …".
// Without an iteration it is the end of the training.
func readValidation(s *series, line []byte) {
	head, rest, ok := bytes.Cut(line, []byte{'|'})
	if !ok {
		return
	}
	step := s.step
	if i := bytes.Index(head, iterationWord); i >= 0 {
		if at, _, ok := leadingDigits(bytes.TrimLeft(head[i+len(iterationWord):], " ")); ok {
			step = at
		}
	} else if s.rows == 0 {
		return
	}
	prefix := []byte("validation ")
	if bytes.Contains(head, []byte("test")) {
		prefix = []byte("test ")
	}
	for field := range bytes.SplitSeq(rest, []byte{'|'}) {
		if !s.field(prefix, field) {
			break
		}
	}
	if len(s.cells) > 0 {
		s.put(step)
	}
}

// megatronArguments are those of the log's list of arguments that a choice of
// learning rate depends on.
var megatronArguments = []string{
	"adam_beta1", "adam_beta2", "adam_eps", "clip_grad", "data_parallel_size", "ffn_hidden_size", "global_batch_size",
	"hidden_size", "init_method_std", "lr", "lr_decay_iters", "lr_decay_samples", "lr_decay_style", "lr_decay_tokens",
	"lr_warmup_fraction", "lr_warmup_iters", "lr_warmup_samples", "lr_warmup_tokens", "lr_wsd_decay_iters", "lr_wsd_decay_style",
	"micro_batch_size", "min_lr", "num_attention_heads", "num_experts", "num_layers", "num_query_groups", "optimizer",
	"padded_vocab_size", "pipeline_model_parallel_size", "rampup_batch_size", "seed", "seq_length", "tensor_model_parallel_size",
	"train_iters", "train_samples", "train_tokens", "weight_decay", "world_size",
	// Megatron-DeepSpeed of 2021:
	"model_parallel_size", "batch_size", "gas", "warmup",
}

// readArgument reads "  lr ............ 0.00015".
func readArgument(s *series, line []byte) {
	i := bytes.Index(line, []byte(" ..."))
	if i < 0 {
		return
	}
	name := line[:i]
	before := name[:bytes.LastIndexByte(name, ' ')+1]
	name = name[len(before):]
	// A rank's mark may stand before, another program's may not.
	if before = bytes.TrimRight(before, " "); len(before) > 0 && before[len(before)-1] != ':' {
		return
	}
	if _, known := slices.BinarySearch(megatronKeys, string(name)); !known {
		return
	}
	value := bytes.TrimSpace(bytes.TrimLeft(line[i+1:], "."))
	if len(value) == 0 || len(value) > 200 || string(value) == "None" {
		return
	}
	if string(name) == "batch_size" {
		name = []byte("micro_batch_size") // as it is called now
	}
	s.configure(string(name), string(value))
}

var megatronKeys = slices.Sorted(slices.Values(megatronArguments))

var (
	rankWord  = []byte("model parallel rank (")
	totalWord = []byte("total parameters ")
	coreWord  = []byte("Total number of parameters in billions: ")
)

// readParameters reads how many parameters the model has.
func readParameters(s *series, line []byte) {
	if i := bytes.Index(line, coreWord); i >= 0 {
		s.configure("parameters", billions(line[i+len(coreWord):]))
	}
	if i := bytes.Index(line, totalWord); i >= 0 && bytes.HasSuffix(line, []byte(" B")) {
		s.configure("total parameters", billions(line[i+len(totalWord):len(line)-2]))
	}
	for {
		i := bytes.Index(line, rankWord)
		if i < 0 {
			return
		}
		line = line[i+len(rankWord):]
		rank, rest, ok := bytes.Cut(line, []byte("): "))
		if n, _, isNumber := leadingDigits(rest); ok && isNumber && len(rank) < 20 {
			s.rankHolds(string(rank), n)
		}
	}
}

// billions writes a number of billions out, exactly.
func billions(b []byte) string {
	b = bytes.TrimSpace(b)
	if v, _, ok := parseDecimal(append(bytes.Clone(b), "e9"...)); ok {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// rankHolds remembers how many parameters a rank has.
func (s *series) rankHolds(rank string, parameters float64) {
	const most = 1 << 16
	if s.ranks == nil {
		s.ranks = map[string]float64{}
	}
	if len(s.ranks) >= most {
		return
	}
	s.ranks[rank] = parameters
}

// noteMegatron says what can be computed of the settings.
func noteMegatron(s *series) {
	tensor, ok := s.configured("tensor_model_parallel_size")
	pipeline, both := s.configured("pipeline_model_parallel_size")
	if n := float64(len(s.ranks)); n > 0 && ok && both && n == tensor*pipeline {
		sum := 0.0
		for _, p := range s.ranks {
			sum += p
		}
		s.note("the model's %s hold %.0f parameters; what is on several, as tied embeddings are, counts on each", plural(len(s.ranks), "rank"), sum)
	}
	length, ok := s.configured("seq_length")
	_, samples := s.columns["consumed samples"]
	if ok && samples {
		hint := fmt.Sprintf("seq_length is %.0f: D=consumed_samples*%.0f counts tokens", length, length)
		if _, batch := s.columns["global batch size"]; batch {
			hint += fmt.Sprintf(", batch=global_batch_size*%.0f tokens a step", length)
		}
		s.note("%s", hint)
	}
}
