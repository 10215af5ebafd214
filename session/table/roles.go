package table

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// allRoles is the order in which roles are assigned and reported.
var allRoles = []Role{RoleN, RoleD, RoleLR, RoleBatch, RoleLoss, RoleFLOPs}

// AllRoles returns every role in the order of reports.
func AllRoles() []Role { return slices.Clone(allRoles) }

// weak is the rank from which a name only resembles the well-known ones.
const weak = 1000

// known lists the names of each role, best first, in the form plain gives them.
// Learning rates and losses go by words as well: see rankLR and rankLoss.
var known = map[Role][]string{
	RoleN: {
		"nonembeddingparams", "nonembeddingparameters", "nonembedparams", "paramsnonembedding", "parametersnonembedding",
		"nnonembedding", "numnonembeddingparams", "numnonembeddingparameters", "nonembeddingparamcount",
		"params", "parameters", "nparams", "nparameters", "numparams", "numparameters", "numberofparameters",
		"paramcount", "parametercount", "totalparams", "totalparameters", "modelparams", "modelparameters", "modelsize",
	},
	RoleD: {
		"traintokens", "trainingtokens", "tokens", "ntokens", "numtokens", "ntraintokens", "numtraintokens",
		"numberoftokens", "totaltokens", "tokenstotal", "tokensseen", "numtokensseen", "ntokensseen", "tokenstrained",
		"tokencount", "consumedtokens", "tokensconsumed", "tokenbudget", "datasize",
	},
	RoleBatch: append(slices.Clone(tokenBatches),
		"globalbatchsize", "globalbatch", "gbs", "totalbatchsize", "effectivebatchsize",
		"batchsize", "batch", "bs", "bsz", "trainbatchsize", "trainbs"),
	RoleFLOPs: {"trainflops", "trainingflops", "flops", "totalflops", "nflops", "compute", "traincompute", "totalcompute"},
}

// tokenBatches are batch names that say their unit.
var tokenBatches = []string{
	"tokensperstep", "tokensperbatch", "tokensperiter", "tokensperiteration", "batchtokens", "batchsizetokens",
	"batchsizeintokens", "tokenbatchsize", "globalbatchtokens", "globalbatchsizetokens", "globalbatchsizeintokens", "nbatchtokens",
}

// single holds the one-letter names. They must be written just so: a column d is
// rather a width than a number of tokens.
var single = map[string]Role{"N": RoleN, "D": RoleD, "C": RoleFLOPs, "η": RoleLR}

// MatchRole says which role a column of that name would have, if any. It goes by
// the name alone; Assign also asks whether the values could be that.
func MatchRole(name string) (Role, bool) {
	best, bestRank, found := Role(""), 0, false
	for _, r := range allRoles {
		if rank, ok := rank(r, name); ok && (!found || rank < bestRank) {
			best, bestRank, found = r, rank, true
		}
	}
	return best, found
}

// maxRoleName bounds the names that are looked at: a longer one, such as a line of text
// taken for a header, is no quantity's, and has too many parts to try.
const maxRoleName = 256

// rank returns how well a name fits a role, 0 best; weak and above is a guess.
func rank(role Role, name string) (int, bool) {
	if len(name) > maxRoleName {
		return 0, false
	}
	if r, ok := single[strings.TrimSpace(name)]; ok {
		return 0, r == role
	}
	forms := nameForms(name)
	for i, form := range forms {
		// A single letter after a slash is a ratio (D/N) rather than a path, an η is not.
		if i > 0 && single[form] == role && role == RoleLR {
			return i, true
		}
		p := plain(form)
		if j := slices.Index(known[role], p); j >= 0 {
			return 10*(j+1) + i, true
		}
	}
	switch role {
	case RoleLR:
		return rankLR(name)
	case RoleLoss:
		return rankLoss(name)
	}
	return 0, false
}

// neutral words say where a value was kept or of what, not which value it is.
var neutral = wordSet(`config cfg optimizer optim opt params param hparams hparam hyperparameters hyperparams args train
	trainer training model adam adamw lm ce total mean avg average run summary metrics`)

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// otherLR marks learning rates that are not the peak, and what only mentions one.
var otherLR = wordSet(`min minimum end final last decay decayed warmup init initial start schedule scheduler sched ratio
	mult multiplier scale scaled scaling factor steps type name log std`)

// rankLR: the peak is preferred to what is only called lr, the latter to lr of
// some part (matrix_lr), which is a guess.
func rankLR(name string) (int, bool) {
	ws := joinPairs(wordsOutsideBrackets(name))
	has, peak, extra := false, false, 0
	for _, w := range ws {
		switch {
		case w == "lr" || w == "learningrate" || w == "eta":
			has = true
		case w == "peaklr" || w == "maxlr":
			has, peak = true, true
		case w == "peak" || w == "max" || w == "maximum":
			peak = true
		case otherLR[w]:
			return 0, false
		case w == "base" || neutral[w]:
		default:
			extra++
		}
	}
	switch {
	case !has:
		return 0, false
	case extra > 0:
		return weak + extra, true
	case peak:
		return 1, true
	}
	return 1 + len(ws), true
}

// otherLoss marks losses that are not the language model's and statistics that are no loss.
var otherLoss = wordSet(`aux auxiliary z zloss balance balancing router scale delta diff std stderr sem min max ppl perplexity
	accuracy acc weight weights coef coeff spike spikes count policy vf var variance rank regret slope`)

var (
	valWords    = wordSet("val valid validation eval evaluation dev heldout holdout")
	smoothWords = wordSet("smooth smoothed ema")
	finalWords  = wordSet("final last")
	trainWords  = wordSet("train training")
	testWords   = wordSet("test testing")
	lossWords   = wordSet("loss losses bpb nll xent crossentropy bitsperbyte")
)

// The order of preference among losses: measured on held-out data,
// smoothed, final, unnamed, training, test. Held-out comes first because a
// training loss also falls by memorising; test last because a learning rate
// chosen on it spoils it.
const (
	tierVal = 10 * (iota + 1)
	tierSmooth
	tierFinal
	tierLoss
	tierTrain
	tierTest
)

func rankLoss(name string) (int, bool) {
	ws := splitLoss(joinPairs(wordsOutsideBrackets(name)))
	has, tier, extra := false, 0, 0
	set := func(t int) {
		if tier == 0 || t < tier || t == tierTest && tier == tierFinal {
			tier = t
		}
	}
	for _, w := range ws {
		switch {
		case lossWords[w]:
			has = true
		case valWords[w]:
			set(tierVal)
		case smoothWords[w]:
			set(tierSmooth)
		case finalWords[w]:
			set(tierFinal)
		case trainWords[w]:
			set(tierTrain)
		case testWords[w]:
			set(tierTest)
		case otherLoss[w]:
			return 0, false
		case neutral[w]:
		default:
			extra++
		}
	}
	if !has {
		return 0, false
	}
	if tier == 0 {
		tier = tierLoss
	}
	r := 10*tier + min(len(ws), 9)
	if extra > 0 {
		r += weak + 10*min(extra, 9)
	}
	return r, true
}

// splitLoss splits words run together with a loss: valloss, trainloss.
func splitLoss(ws []string) []string {
	var out []string
	for _, w := range ws {
		first, ok := strings.CutSuffix(w, "loss")
		if ok && (valWords[first] || smoothWords[first] || finalWords[first] || trainWords[first] || testWords[first]) {
			out = append(out, first)
			w = "loss"
		}
		out = append(out, w)
	}
	return out
}

// joinPairs joins words that are one term.
func joinPairs(ws []string) []string {
	var out []string
	for i := 0; i < len(ws); i++ {
		two := ws[i] + "|" + strings.Join(ws[i+1:min(i+2, len(ws))], "")
		switch two {
		case "learning|rate", "cross|entropy":
			out = append(out, strings.ReplaceAll(two, "|", ""))
			i++
			continue
		}
		if strings.HasPrefix(strings.Join(ws[i:], " "), "bits per byte") {
			out = append(out, "bitsperbyte")
			i += 2
			continue
		}
		out = append(out, ws[i])
	}
	return out
}

func wordsOutsideBrackets(name string) []string {
	if i := strings.IndexAny(name, "(["); i > 0 {
		name = name[:i]
	}
	return words(name)
}

// plausible reports whether the values could be a role's. A column whose name
// only resembles the role's must not hold anything negative; one with the role's
// name may hold a bad row, which is counted where it is used.
func plausible(role Role, c *Column, rank int) bool {
	if c.Kind != Number {
		return false
	}
	positive, any := false, false
	for _, v := range c.Numbers {
		if IsMissing(v) {
			continue
		}
		any = true
		if role != RoleLoss && v < 0 && rank >= weak {
			return false
		}
		positive = positive || v > 0
	}
	return any && (positive || role == RoleLoss)
}

// implausible says why a column that has the role's name cannot be it, "" if no
// column has.
func (t *Table) implausible(role Role) string {
	for _, c := range t.Columns {
		rank, ok := rank(role, c.Name)
		if !ok || rank >= weak || c.Kind != Number || t.Rows == 0 || plausible(role, c, rank) {
			continue
		}
		for _, v := range c.Numbers {
			if !IsMissing(v) {
				return fmt.Sprintf("column %s holds no positive number", quoteName(c.Name))
			}
		}
		return fmt.Sprintf("column %s is blank in every row", quoteName(c.Name))
	}
	return ""
}

// candidates returns the columns that could have a role, best first.
func candidates(t *Table, role Role, taken map[string]Role) []candidate {
	var out []candidate
	for _, c := range t.Columns {
		if r, ok := taken[c.Name]; ok && r != role {
			continue
		}
		if rank, ok := rank(role, c.Name); ok && (t.Rows == 0 || plausible(role, c, rank)) {
			if role != RoleLoss && c.Kind == Number && slices.ContainsFunc(c.Numbers, func(v float64) bool { return v < 0 }) {
				rank += weak // any clean column before it
			}
			out = append(out, candidate{c.Name, rank})
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Compare(a.rank, b.rank) })
	return out
}

type candidate struct {
	name string
	rank int
}
