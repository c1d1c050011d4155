# Tests dist/hello.txt and prints the results as JUnit XML.
greeting=$(cat dist/hello.txt)

check() {
  case $greeting in
    $2) echo "    <testcase classname=\"hello\" name=\"$1\" time=\"0.001\"/>" ;;
    *)
      echo "    <testcase classname=\"hello\" name=\"$1\" time=\"0.001\">"
      echo "      <failure message=\"the greeting is '$greeting'\"/>"
      echo "    </testcase>"
      failed=1
      ;;
  esac
}

echo '<testsuites>'
echo '  <testsuite name="greeting">'
check 'begins politely' 'Hello, *'
check 'names somebody' "*$NAME*"
check 'ends with joy' '*!'
echo '  </testsuite>'
echo '</testsuites>'
exit ${failed:-0}
