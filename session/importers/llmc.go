package importers

import "bytes"

// llmcLog is the main.log of llm.c, which the first logs of modded-nanogpt follow:
// a line for each quantity of a step, s:250 tel:3.2 being the validation loss and
// s:250 trl:3.3 lr:0.000600 norm:0.35 the rest.
var llmcLog = logFormat{
	name:    "llmc",
	example: "s:250 trl:3.3148 lr:0.000600 norm:0.35",
	step:    func(line []byte) bool { return isPairs(line, sWord) },
	read:    func(s *series, line []byte) { readPairs(s, line, sWord) },
	notes:   noteLLMC,
}

var sWord = []byte("s:")

// llmcNames are the names of llm.c's quantities in a table.
var llmcNames = map[string]string{"trl": "loss", "tel": "val_loss", "norm": "grad_norm"}

// isPairs recognises a step followed by name:value: "s:250 trl:3.3".
func isPairs(line, word []byte) bool {
	if !bytes.HasPrefix(line, word) {
		return false
	}
	_, rest, ok := leadingDigits(line[len(word):])
	if ok && len(rest) > 0 && rest[0] == '/' {
		_, rest, ok = leadingDigits(rest[1:])
	}
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return false
	}
	_, value, ok := bytes.Cut(rest, []byte{':'})
	if ok {
		_, _, ok = leadingNumeral(value)
	}
	return ok
}

// readPairs reads a line that isPairs may recognise.
func readPairs(s *series, line, word []byte) {
	if !bytes.HasPrefix(line, word) {
		return
	}
	step, rest, ok := leadingDigits(line[len(word):])
	if !ok {
		return
	}
	if len(rest) > 0 && rest[0] == '/' {
		total := rest[1:]
		if _, rest, ok = leadingDigits(total); !ok {
			return
		}
		if s.rows == 0 {
			s.configure("steps", string(total[:len(total)-len(rest)]))
		}
	}
	for len(rest) > 0 && rest[0] == ' ' {
		rest = bytes.TrimLeft(rest, " ")
		pair := rest
		if i := bytes.IndexByte(rest, ' '); i >= 0 {
			pair = rest[:i]
		}
		rest = rest[len(pair):]
		s.pair(pair)
	}
	if len(s.cells) > 0 {
		s.put(step)
	}
}

// pair adds "name:value" to the record; a unit of time goes to the name.
func (s *series) pair(pair []byte) {
	const longest = 40
	i := bytes.IndexByte(pair, ':')
	if i <= 0 || i > longest {
		return
	}
	v, unit, ok := leadingNumeral(pair[i+1:])
	if !ok || len(unit) > 2 {
		return
	}
	if len(unit) > 0 {
		s.cells = append(s.cells, sample{s.unitColumn(pair[:i], "_"+string(unit)), v, true})
		return
	}
	if name, ok := llmcNames[string(pair[:i])]; ok {
		s.add(name, v)
		return
	}
	s.cells = append(s.cells, sample{column: s.columnOf(pair[:i]), v: v})
}

// noteLLMC says what was renamed.
func noteLLMC(s *series) {
	if _, ok := s.columns["loss"]; ok {
		s.note("of the log's names trl is loss, tel is val_loss and norm is grad_norm")
	}
}

// sniffLLMC leaves the losses alone, without the learning rate that llm.c writes,
// to modded-nanogpt.
func sniffLLMC(head []byte) int {
	score := llmcLog.sniff(head)
	if score > 0 && !bytes.Contains(head, []byte(" lr:")) {
		score--
	}
	return score
}
