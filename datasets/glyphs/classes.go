package glyphs

// class is a character and the folder it goes to: readable, and safe where
// file names ignore case.
type class struct {
	char rune
	name string
}

// classes in the order in which they are taken: capitals, then digits and small
// letters that no capital resembles at another size.
var classes = allClasses()

// MaxClasses is how many classes there are.
const MaxClasses = 26 + 8 + 10

// ClassNames are the folder names of the first n classes.
func ClassNames(n int) []string {
	n = max(0, min(n, len(classes)))
	names := make([]string, n)
	for i := range names {
		names[i] = classes[i].name
	}
	return names
}

func allClasses() []class {
	var out []class
	for c := 'A'; c <= 'Z'; c++ {
		out = append(out, class{c, string(c) + "_upper"})
	}
	for i, name := range []string{"two", "three", "four", "five", "six", "seven", "eight", "nine"} {
		out = append(out, class{rune('2' + i), name})
	}
	for _, c := range "abdefghnrt" {
		out = append(out, class{c, string(c) + "_lower"})
	}
	return out
}
