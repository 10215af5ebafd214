package importers

// moddedLog is the log of modded-nanogpt: the program's own text, then lines such
// as its example. The first of them were those of llm.c.
var moddedLog = logFormat{
	name:    "modded-nanogpt",
	example: "step:125/5100 val_loss:6.5 train_time:28470ms step_avg:247.57ms",
	step:    func(line []byte) bool { return isPairs(line, moddedWord) || isPairs(line, sWord) },
	read:    readModded,
	notes:   noteLLMC,
}

var moddedWord = []byte("step:")

// moddedSettings are those of the program's text that a choice of learning rate
// depends on.
var moddedSettings = []string{
	"learning_rate", "embed_learning_rate", "muon_learning_rate", "batch_size", "device_batch_size", "sequence_length",
	"num_iterations", "num_scheduled_iterations", "warmup_iters", "warmdown_iters", "weight_decay", "cooldown_frac",
	"train_seq_len", "train_batch_size", "matrix_lr", "scalar_lr", "embed_lr", "head_lr", "iterations", "train_batch_tokens",
}

func readModded(s *series, line []byte) {
	readPairs(s, line, moddedWord)
	readPairs(s, line, sWord)
	if s.rows > 0 {
		return
	}
	// The first is that of the class of hyperparameters, which comes before its uses.
	if name, value, ok := assignment(line, moddedSettings); ok {
		if _, known := s.configured(name); !known {
			s.configure(name, value)
		}
	}
}
