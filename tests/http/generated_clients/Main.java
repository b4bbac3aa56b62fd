import java.io.File;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.GeneratorsApi;
import org.openapitools.client.api.ImagesApi;
import org.openapitools.client.model.ImageGenerator;
import org.openapitools.client.model.ModelsInner;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.SampleRequest;

/** Uses the client of openapi-generator: list, one image, a bulk request, an error. */
public class Main {
  static String hash(File file) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file.toPath())));
  }

  public static void main(String[] arguments) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(arguments[0]);
    List<String> names = new ArrayList<>();
    List<ModelsInner> models = new GeneratorsApi(client).listGenerators(null, null).getModels();
    for (ModelsInner each : models) {
      names.add('"' + ((ImageGenerator) each.getActualInstance()).getName() + '"');
    }
    ImageGenerator first = (ImageGenerator) models.get(0).getActualInstance();
    String digest = first.getDigest().substring(0, 12);
    ImagesApi images = new ImagesApi(client);
    String image = hash(images.getImage(first.getName(), digest, 42L, "png", null, null, null, null, null));
    SampleRequest request = new SampleRequest().model(first.getName()).seeds("0-3").format(SampleRequest.FormatEnum.NPY);
    String bulk = hash(images.makeMany(request));
    try {
      images.getImage(first.getName(), digest, 42L, "png", null, null, 9999, null, null);
      throw new AssertionError("no error");
    } catch (ApiException error) {
      Problem problem = client.getObjectMapper().readValue(error.getResponseBody(), Problem.class);
      System.out.printf("[%s, \"%s\", \"%s\", %d, \"%s\"]%n", names, image, bulk, error.getCode(), problem.getField());
    }
  }
}
