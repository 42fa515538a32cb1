// Counts words: the same program in every language.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
)

func main() {
	counts := map[string]int{}
	count := 0
	in := bufio.NewScanner(os.Stdin)
	in.Split(bufio.ScanWords)
	for ; in.Scan(); count++ {
		counts[in.Text()]++
	}
	words := []string{}
	for word := range counts {
		words = append(words, word)
	}
	sort.Strings(words)
	for _, word := range words {
		fmt.Println(word, counts[word])
	}
	fmt.Printf("%s, %s\n", os.Getenv("GREETING"), os.Args[1])
	text := fmt.Sprintf("%d words\n", count)
	if err := os.WriteFile("count.txt", []byte(text), 0o644); err != nil {
		panic(err)
	}
	read, err := os.ReadFile("count.txt")
	if err != nil {
		panic(err)
	}
	fmt.Print(string(read))
	if err := os.Remove("count.txt"); err != nil {
		panic(err)
	}
	os.Exit(3)
}
