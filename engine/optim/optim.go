package optim

// Rule is one update rule.
type Rule struct {
	Name        string
	Description string
	// Slots names the state kept for each parameter, as in torch.optim's
	// state_dict; each has the parameter's shape and starts at zero.
	Slots []string
}

// All lists the update rules.
var All = []Rule{adam, adamW, sgd}

// Lookup finds a rule by name.
func Lookup(name string) (Rule, bool) {
	for _, r := range All {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Names returns the names of all rules.
func Names() []string {
	names := make([]string, len(All))
	for i, r := range All {
		names[i] = r.Name
	}
	return names
}
