echo "main.c:7: line ends with a blank"
exit 3
